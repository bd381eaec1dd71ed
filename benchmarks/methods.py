"""What the method comparisons share: recipes with changes, runs of several seeds, and their paired differences."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from metricface.contracts.results import JoinedReading, Value
from metricface.evaluation.comparison import Difference, compare_outcomes
from metricface.evaluation.stored_results import read_results
from metricface.files import write_text
from metricface.runs.compare import compare_runs
from metricface.runs.folder import RunFolder

HERE = Path(__file__).parent
RECIPES = HERE.parent / "experiments"
SAMPLES = 10_000  # of the paired bootstrap


@dataclass(frozen=True)
class Method:
    """A recipe with changes, and what the table says of it.

    Args:
        recipe: of experiments/.
        what: what the table says.
        sections: replace those of the recipe whole; None takes one out.
        changes: for `--set`.
        seeds: of the runs.
        against: the methods that it is compared with.
        tree: which of the script's trees it is trained on.
    """

    recipe: str
    what: str
    sections: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    against: tuple[str, ...] = ()
    tree: str = "tree"


def read_options(about: str | None, methods: Mapping[str, Method], work: str, *needed: str) -> argparse.Namespace:
    """Read the command line of a script: the paths that it needs, where it works, which methods, how many threads."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in needed:
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs") / work)
    parser.add_argument("--only", action="append", choices=methods)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


def run_method(method: Method, folder: Path, changes: Sequence[str], threads: int) -> None:
    """Train and evaluate all seeds of a method in `folder`; what is finished stays, what was interrupted goes on."""
    recipe = folder.with_suffix(".toml")
    write_recipe(method, recipe)
    sets = [word for change in (*changes, *method.changes) for word in ("--set", change)]
    seeds = ",".join(map(str, method.seeds))
    metricface("run", recipe, *sets, "--seeds", seeds, "--out", folder, "--resume", threads=threads)


def write_recipe(method: Method, path: Path) -> None:
    """Write the method's recipe with its sections, without its `changes`."""
    table = tomllib.loads((RECIPES / f"{method.recipe}.toml").read_text(encoding="utf-8"))
    kept = {name: section for name, section in {**table, **method.sections}.items() if section is not None}
    write_text(path, tomli_w.dumps(kept))


def metricface(*arguments: object, threads: int | None = None) -> None:
    """Run a command of metricface; its progress goes to standard error, and where it fails it has said why."""
    environment = {**os.environ, **({"OMP_NUM_THREADS": str(threads)} if threads else {})}
    command = [sys.executable, "-m", "metricface", *map(str, arguments)]
    code = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode
    if code:
        sys.exit(code)


def finished(methods: Mapping[str, Method], work: Path) -> dict[str, Method]:
    """Return the methods whose seeds are all done."""
    return {name: method for name, method in methods.items() if (work / name / "seeds.json").is_file()}


def over_seeds(work: Path, name: str, evaluator: str) -> dict[str, JoinedReading]:
    """Return the evaluator's readings of a method by name, every figure a mean over its seeds."""
    document = json.loads((work / name / "seeds.json").read_text(encoding="utf-8"))
    return {reading.name: reading for reading in read_results(document["results"])[evaluator].joined()}


def mean_and_sd(figure: Value) -> dict[str, float | None]:
    """Return what the documents of the benchmarks keep of a figure over seeds."""
    return {"mean": figure.value, "sd": None if figure.spread is None else figure.spread.sd}


def training(work: Path, name: str) -> list[dict[str, Any]]:
    """Return for each seed the steps, the seconds, and those at the pace of the fastest tenth of its steps.

    Both contain the evaluations. The second ones, `undisturbed`, are what other work beside the run changes less.
    """
    return [_training(folder) for folder in sorted((work / name).glob("seed-*"))]


def _training(folder: Path) -> dict[str, Any]:
    events = [json.loads(line) for line in lines_of(folder / "times.jsonl")]
    spans = [(after["event"], after["seconds"] - before["seconds"]) for before, after in pairwise(events)]
    whole = [(event, seconds) for event, seconds in spans if seconds >= 0]  # below 0: the run was taken up again here
    steps = [seconds for event, seconds in whole if event == "step"]
    evaluations = [seconds for event, seconds in whole if event == "evaluated"]
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return {
        "steps": events[-1]["step"],
        "seconds": sum(steps) + sum(evaluations) + events[0]["seconds"],
        "undisturbed": float(np.percentile(steps, 10)) * events[-1]["step"] + sum(evaluations),
        "precision": record["precision"]["name"],
    }


def differences(work: Path, a: str, b: str) -> dict[str, list[float]]:
    """Return B - A by "reading/row/figure": the difference, its 95 % interval and p, paired on the same photos."""
    return _by_path(compare_runs(work / a, work / b, samples=SAMPLES, seed=0).differences)


def most_to_win(work: Path, name: str, evaluator: str) -> dict[str, list[float]]:
    """Return what `differences` would for a method that errs on no probe, against `name`."""
    runs = {str(run): RunFolder(run).outcomes_by_evaluator()[evaluator] for run in sorted((work / name).glob("seed-*"))}
    probes = next(iter(runs.values()))
    flawless = {**probes, "rank": ["1"] * len(probes["rank"])}
    return _by_path(compare_outcomes(evaluator, runs, {"no error": flawless}, samples=SAMPLES, seed=0))


def _by_path(found: Sequence[Difference]) -> dict[str, list[float]]:
    return {
        f"{part.reading}/{part.row}/{part.figure}": [part.difference, *part.interval, part.p]
        for part in found
        if part.interval is not None and part.p is not None  # a figure of one person has neither, and is no result
    }


def machine(threads: int) -> dict[str, Any]:
    """Return what the figures depend on besides the photos."""
    import torch

    models = [line.split(":")[1].strip() for line in lines_of(Path("/proc/cpuinfo")) if "model name" in line]
    cpu = models[0] if models else platform.machine()
    return {"cpu": cpu, "threads": threads, "torch": torch.__version__}


def people(split: Path) -> dict[str, int]:
    """Return how many people a split file trains on and judges by."""
    rows = [line.split(",")[:2] for line in lines_of(split)[1:]]
    return {part: len({person for p, person in rows if p == part}) for part in ("train", "val")}


def curve(folder: Path, evaluator: str, figure: str) -> tuple[list[float], list[float]]:
    """Return the seconds and the percentages of a figure over the evaluations of one run."""
    times = [json.loads(line) for line in lines_of(folder / "times.jsonl")]
    at = {event["step"]: event["seconds"] for event in times if event["event"] == "evaluated"}
    events = [json.loads(line) for line in lines_of(folder / "metrics.jsonl")]
    found = [event for event in events if event["event"] == "evaluated"]
    values = [100 * read_results(event["results"])[evaluator].metric(figure) for event in found]
    return [at[event["step"]] for event in found], values


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file, none where there is no such file."""
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def percent(figure: Mapping[str, Any]) -> str:
    """Return a mean over seeds as percentage, with its standard deviation where there are several."""
    return f"{100 * figure['mean']:.1f}" + (f" ± {100 * figure['sd']:.1f}" if figure["sd"] is not None else "")


def points(found: Sequence[float]) -> str:
    """Return a difference as percentage points with its interval."""
    value, low, high, _ = found
    return f"{100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def seconds(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return the seconds of every seed, and in brackets the undisturbed ones."""
    return " ".join(f"{run['seconds']:.0f} [{run['undisturbed']:.0f}]" for run in runs)
