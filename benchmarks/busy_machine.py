"""What do threads that spin while they wait cost, on an idle machine and on one that does something else as well?

    python benchmarks/busy_machine.py [--rounds N] [--steps N] [--loops N]

Forward and backward of EfficientNet-Lite0 in fp32, batch 32, 112 px, with one thread and with two, OMP_WAIT_POLICY
unset (OpenMP's threads spin) and PASSIVE (they sleep, as in the command). Each of the four has a process of its own,
for the variable is read once; they take turns, and in each round all of them first have the machine alone and then
share it with some endless loops. Figures are medians over the turns of the seconds of one step: by the clock, and of
the processor; beside them the quickest turn, which other programs disturb least. The backbone is the one of
plugins/metricface-efficientnet-lite with random weights.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from methods import HERE, machine

from metricface.files import write_json, write_text
from metricface.machine import WAIT_VARIABLES, reuse_freed_memory, usable_cores

BATCH, SIDE = 32, 112
POLICIES = {"spin (unset)": {}, "sleep (PASSIVE)": {"OMP_WAIT_POLICY": "PASSIVE"}}
THREADS = (1, 2)


class Worker:
    """A process that trains for some steps whenever it is told to."""

    def __init__(self, stack: ExitStack, threads: int, policy: dict[str, str]) -> None:
        others = {name: value for name, value in os.environ.items() if name not in WAIT_VARIABLES}
        command = [sys.executable, __file__, "--worker", str(threads)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = stack.enter_context(subprocess.Popen(command, env={**others, **policy}, **pipes))
        stack.callback(self._process.kill)
        self.steps(1)  # the first ones of a process are slow

    def steps(self, count: int) -> dict[str, float]:
        """Return the seconds of one step, by the clock and of the processor."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(count, file=self._process.stdin, flush=True)
        wall, cpu = map(float, self._process.stdout.readline().split())
        return {"wall": wall, "cpu": cpu}


def main() -> None:
    """Measure, print and write benchmarks/busy_machine.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--loops", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        work(options.worker)
        return
    loads = [os.getloadavg()[0]]
    turns: dict[str, dict[str, list[dict[str, float]]]] = {"idle": {}, "busy": {}}
    with ExitStack() as stack:
        workers = {
            f"{policy}, threads {threads}": Worker(stack, threads, variables)
            for threads in THREADS
            for policy, variables in POLICIES.items()
        }
        for _ in range(options.rounds):
            for load, loops in (("idle", 0), ("busy", options.loops)):
                with endless(loops):
                    for name, worker in workers.items():
                        turns[load].setdefault(name, []).append(worker.steps(options.steps))
            loads.append(os.getloadavg()[0])
    sizes = {"cores": usable_cores(), "batch": BATCH, "side": SIDE, "loops": options.loops}
    conditions = {**machine(max(THREADS)), **sizes, "rounds": options.rounds, "load_averages": loads}
    document = {"conditions": conditions, "seconds_per_step": figures(turns), "turns": turns}
    write_json(options.out / "busy_machine.json", document)
    write_text(options.out / "busy_machine.md", table(document))
    print(table(document))


def work(threads: int) -> None:
    """Train for as many steps as each line of the standard input says, and answer with the seconds of one."""
    import torch
    from metricface_efficientnet_lite import EfficientNetLite0

    reuse_freed_memory()
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = EfficientNetLite0(weights="random").train().to(memory_format=torch.channels_last)
    images = torch.randn(BATCH, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            model.zero_grad(set_to_none=True)
            model(images).square().mean().backward()
        count = int(line)
        print((time.perf_counter() - wall) / count, (time.process_time() - cpu) / count, flush=True)


@contextmanager
def endless(count: int) -> Iterator[None]:
    """Keep so many processes busy meanwhile."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    time.sleep(1 if loops else 0)  # until they have begun
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def figures(turns: dict[str, dict[str, list[dict[str, float]]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return load -> process -> median and quickest turn."""
    return {
        load: {
            name: {
                "wall": median(turn["wall"] for turn in found),
                "cpu": median(turn["cpu"] for turn in found),
                "quickest_wall": min(turn["wall"] for turn in found),
            }
            for name, found in by_name.items()
        }
        for load, by_name in turns.items()
    }


def table(document: dict[str, Any]) -> str:
    """Return the result as Markdown."""
    conditions = dict(document["conditions"])
    before, *later = conditions.pop("load_averages")
    lines = ["# Threads that spin, on an idle machine and on a busy one", "", str(conditions).replace("'", '"'), ""]
    lines.append(
        f"Load average before the first round {before:.1f}, after each {', '.join(f'{load:.1f}' for load in later)}."
    )
    if before > 0.3:
        lines.append("Other programs kept this machine busy: what stands under idle was **not idle**.")
    for load, title in (("idle", "Idle"), ("busy", f"Beside {conditions['loops']} endless loops")):
        lines += ["", f"## {title}", "", "| process | s / step | CPU s / step | s / step, quickest turn |"]
        lines.append("|---|---:|---:|---:|")
        for name, found in document["seconds_per_step"][load].items():
            lines.append(f"| {name} | {found['wall']:.2f} | {found['cpu']:.2f} | {found['quickest_wall']:.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
