"""How long does our recipe of a task take against the method it is measured against?

    python benchmarks/methods_time.py task_a|task_b --tree TREE [--threads N] [--rounds N]

TREE is the one that task_a_methods.py or task_b_methods.py leaves in its DIR. Both recipes are built in this process
and take turns: some training steps of one, some of the other, and each embeds some photos. From the medians over the
rounds follow the seconds of the whole runs with all their evaluations: turns meet the same load, runs of an hour do
not. Seconds are those of the processor, so that waiting for other programs does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import task_a_methods
import task_b_methods
import torch
from methods import HERE, machine, write_recipe

from metricface.build.experiment import build_experiment
from metricface.components.registry import installed_registries
from metricface.contracts import Batch, Silent
from metricface.files import write_json, write_text
from metricface.machine import reuse_freed_memory
from metricface.recipe.load import load_recipe
from metricface.training.step import train_step

TASKS = {"task_a": task_a_methods, "task_b": task_b_methods}
TRAINED, EMBEDDED = 768, 256  # photos a turn


class Runner:
    """One recipe that trains and embeds a few photos at a time."""

    def __init__(self, recipe: Path, changes: Sequence[str]) -> None:
        known = installed_registries()
        self.recipe = load_recipe(recipe, changes, known)
        self.experiment = build_experiment(self.recipe, known, Silent())
        self._batches = self._forever()

    def step(self) -> float:
        """Train for some steps; return the seconds of one."""
        state = self.experiment.state
        state.model.train()
        steps = TRAINED // self.recipe.train.batch_size
        return _seconds(lambda: [train_step(state, next(self._batches)) for _ in range(steps)]) / steps

    def embed(self) -> float:
        """Embed some photos as an evaluation does; return the seconds of one."""
        images = next(self._batches).images[:64].contiguous(memory_format=torch.channels_last)
        model = self.experiment.state.model.eval()
        times = EMBEDDED // len(images)
        with torch.inference_mode():
            return _seconds(lambda: [model(images) for _ in range(times)]) / (times * len(images))

    def whole(self, step: float, photo: float) -> dict[str, Any]:
        """Return what a run takes at so many seconds a step and a photo."""
        train = self.recipe.train
        steps = train.epochs * len(self.experiment.loader)
        embedded = -(-train.epochs // train.evaluate_every) * len(self.experiment.val)
        seconds = steps * step + embedded * photo
        return {
            "steps": steps,
            "photos_trained": steps * train.batch_size,
            "photos_embedded": embedded,
            "seconds_per_step": step,
            "seconds_per_embedded_photo": photo,
            "seconds": seconds,
        }

    def _forever(self) -> Iterator[Batch]:
        for epoch in count():
            yield from self.experiment.loader.epoch(epoch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    reuse_freed_memory()
    runners = {name: _runner(options.task, name, options.tree) for name in TASKS[options.task].TIMED}
    for runner in runners.values():  # the first steps of a process are slow
        runner.step(), runner.embed()
    turns = [{name: (runner.step(), runner.embed()) for name, runner in runners.items()} for _ in range(options.rounds)]
    found = {
        name: runner.whole(*(median(turn[name][part] for turn in turns) for part in range(2)))
        for name, runner in runners.items()
    }
    theirs, ours = (found[name]["seconds"] for name in TASKS[options.task].TIMED)
    conditions = {**machine(options.threads), "rounds": options.rounds}
    document = {"conditions": conditions, "methods": found, "share": ours / theirs, "turns": turns}
    write_json(HERE / f"{options.task}_time.json", document)
    write_text(HERE / f"{options.task}_time.md", _table(document))
    print(_table(document))


def _runner(task: str, name: str, tree: Path) -> Runner:
    script = TASKS[task]
    method = script.METHODS[name]
    with TemporaryDirectory() as folder:
        recipe = Path(folder) / f"{name}.toml"
        write_recipe(method, recipe)
        return Runner(recipe, (f"data.root={tree}", *script.ALWAYS, *method.changes))


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _table(document: dict[str, Any]) -> str:
    """Return the result as Markdown."""
    lines = ["# The time of ours against the method it is measured against", ""]
    lines += [
        json.dumps(document["conditions"]),
        "",
        f"Ours takes **{document['share']:.2f}** of the other's time.",
        "",
    ]
    lines += [
        "| method | photos trained | photos embedded | s / step | s / embedded photo | seconds of the whole run |"
    ]
    lines += ["|---|---:|---:|---:|---:|---:|"]
    for name, found in document["methods"].items():
        lines.append(
            f"| {name} | {found['photos_trained']} | {found['photos_embedded']} | {found['seconds_per_step']:.3f} | "
            f"{found['seconds_per_embedded_photo']:.4f} | {found['seconds']:.0f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
