"""Is experiments/task_b_fast.toml better than the method it is measured against, in half the time, and what gives that?

    python benchmarks/task_b_methods.py --photos PHOTOS --split SPLIT.csv [--work DIR] [--only NAME]... [--threads N]

PHOTOS/<person>/<photo>.jpg are photos of one's own, SPLIT.csv says who is trained on (see `metricface data distort`).
Every method below is a run folder in DIR; finished ones are kept and interrupted ones go on, so the script can be
stopped and started at will. At the end the table and the picture beside this file are written anew from what is there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from metricface.compare import compare_runs
from metricface.files import write_json, write_text

HERE = Path(__file__).parent
RECIPES = HERE.parent / "experiments"
READINGS = ("same-source", "cross-source")
SAMPLES = 10_000


@dataclass(frozen=True)
class Method:
    """A recipe with changes, and what the table says of it."""

    recipe: str
    what: str
    changes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    everybody: bool = False
    of: str = "seed-method"


SHORT = ("train.epochs=2", "train.evaluate_every=2")
METHODS = {
    "seed-method": Method("task_b_seed", "the method measured against, 10 epochs"),
    "ours": Method("task_b_fast", "task_b_fast.toml", seeds=(0, 1, 2)),
    "ours-everybody": Method("task_b_fast", "task_b_fast.toml, trained on all people outside val", everybody=True),
    "short": Method("task_b_fast", "task_b_fast.toml, 2 epochs only", SHORT),
    "short-one-view": Method(
        "task_b_fast",
        "short without mirror and zoom",
        (*SHORT, "embedding.mirror=false", "embedding.zoom=1.0"),
        of="short",
    ),
    "short-no-projection": Method(
        "task_b_fast",
        "short, evaluated on the embedding layer",
        (*SHORT, "embedding.projection=false"),
        of="short",
    ),
    "short-no-supcon": Method("task_b_fast", "short without SupCon", (*SHORT, "loss.supcon.weight=0.0"), of="short"),
    "short-no-distortion": Method(
        "task_b_fast",
        "short without distortion on the fly",
        (*SHORT, "transform.random-distortion.probability=0.0"),
        of="short",
    ),
}


def main() -> None:
    options = _options()
    trees = {False: options.work / "tree", True: options.work / "tree-everybody"}
    for name in options.only or METHODS:
        method = METHODS[name]
        _make_tree(options, trees[method.everybody], method.everybody)
        _run(method, options.work / name, trees[method.everybody], options.threads)
    done = {name: method for name, method in METHODS.items() if (options.work / name / "seeds.json").is_file()}
    document = {"conditions": _conditions(options), "methods": {}}
    for name, method in done.items():
        document["methods"][name] = _summary(options.work, name, method, done)
    write_json(HERE / "task_b_methods.json", document)
    write_text(HERE / "task_b_methods.md", _table(document))
    _draw(document, options.work)
    print(_table(document))


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/task_b_methods"))
    parser.add_argument("--only", action="append", choices=METHODS)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


def _make_tree(options: Any, tree: Path, everybody: bool) -> None:
    """Lay out the photos of the split; with `everybody`, all people outside val are trained on, with all photos."""
    split = options.split
    if everybody:
        rows = [line.split(",") for line in split.read_text(encoding="utf-8").splitlines()[1:]]
        val = {person for part, person, _ in rows if part == "val"}
        kept = [",".join(row) for row in rows if row[0] == "val"]
        for person in sorted(path for path in options.photos.iterdir() if path.is_dir() and path.name not in val):
            kept += [f"train,{person.name},{photo.name}" for photo in sorted(person.iterdir())]
        split = options.work / "everybody.csv"
        options.work.mkdir(parents=True, exist_ok=True)
        write_text(split, "\n".join(["split,person,photo", *kept]) + "\n")
    _metricface("data", "distort", options.photos, tree, "--split", split)


def _run(method: Method, folder: Path, tree: Path, threads: int) -> None:
    changes = [text for change in (f"data.root={tree}", *method.changes) for text in ("--set", change)]
    seeds = ",".join(map(str, method.seeds))
    recipe = RECIPES / f"{method.recipe}.toml"
    _metricface("run", recipe, *changes, "--seeds", seeds, "--out", folder, "--resume", threads=threads)


def _metricface(*arguments: object, threads: int | None = None) -> None:
    environment = {**os.environ, **({"OMP_NUM_THREADS": str(threads)} if threads else {})}
    command = [sys.executable, "-m", "metricface", *map(str, arguments)]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)


def _summary(work: Path, name: str, method: Method, done: dict[str, Method]) -> dict[str, Any]:
    """Return figures by reading and condition, the images and seconds of training, and the paired differences."""
    seeds = json.loads((work / name / "seeds.json").read_text(encoding="utf-8"))
    folders = sorted((work / name).glob("seed-*"))
    summary = {
        "what": method.what,
        "seeds": list(method.seeds),
        "changes": list(method.changes),
        "figures": {reading: _rank1(seeds["results"]["identification"][reading]) for reading in READINGS},
        "training": [_training(folder) for folder in folders],
    }
    if method.of in done and method.of != name:
        compared = compare_runs(work / method.of, work / name, samples=SAMPLES, seed=0)
        summary["against"] = method.of
        summary["differences"] = {
            f"{found.reading}/{found.row}": [found.difference, *(found.interval or ()), found.p]
            for found in compared.differences
            if found.reading in READINGS and found.figure == "rank1"
        }
    return summary


def _rank1(reading: dict[str, Any]) -> dict[str, Any]:
    rows = {"all": reading, **reading["by_condition"]}
    return {row: {"mean": figures["rank1"]["mean"], "sd": figures["rank1"]["sd"]} for row, figures in rows.items()}


def _training(folder: Path) -> dict[str, float]:
    """Return the steps of one run and its seconds, evaluations and interrupted parts included."""
    events = [json.loads(line) for line in (folder / "times.jsonl").read_text(encoding="utf-8").splitlines()]
    ends = [a["seconds"] for a, b in pairwise(events) if b["seconds"] < a["seconds"]]
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return {
        "steps": events[-1]["step"],
        "seconds": sum(ends) + events[-1]["seconds"],
        "precision": record["precision"]["name"],
    }


def _conditions(options: Any) -> dict[str, Any]:
    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), platform.machine()
    )
    import torch

    people = [line.split(",")[:2] for line in options.split.read_text(encoding="utf-8").splitlines()[1:]]
    counted = {part: len({person for p, person in people if p == part}) for part in ("train", "val")}
    return {"cpu": cpu, "threads": options.threads, "torch": torch.__version__, "people": counted, "bootstrap": SAMPLES}


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []


def _table(document: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    lines = ["# Task B: ours against the method it is measured against", "", json.dumps(document["conditions"]), ""]
    lines += [
        "| method | steps | seconds | same-source % | worst condition % | cross-source % | difference (same, cross) |"
    ]
    lines += ["|---|---:|---:|---:|---:|---:|---|"]
    for name, method in document["methods"].items():
        same, cross = (method["figures"][reading] for reading in READINGS)
        worst = min((row for row in same if row not in ("all", "clean")), key=lambda row: same[row]["mean"])
        seconds = " ".join(f"{run['seconds']:.0f}" for run in method["training"])
        lines.append(
            f"| {name}: {method['what']} | {method['training'][0]['steps']} | {seconds} | {_figure(same['all'])} | "
            f"{worst} {_figure(same[worst])} | {_figure(cross['all'])} | {_difference(method)} |"
        )
    lines += ["", "Same-source and cross-source rank-1 by condition:", ""]
    conditions = [row for row in next(iter(document["methods"].values()))["figures"]["same-source"] if row != "all"]
    lines += ["| method | " + " | ".join(conditions) + " |", "|---" * (len(conditions) + 1) + "|"]
    for name, method in document["methods"].items():
        cells = (
            " / ".join(f"{100 * method['figures'][reading][row]['mean']:.1f}" for reading in READINGS)
            for row in conditions
        )
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    compared = {
        name: method for name, method in document["methods"].items() if name == "ours" and "differences" in method
    }
    for name, method in compared.items():
        lines += ["", f"{name} minus {method['against']}, points with 95 % interval over people:", ""]
        lines += ["| reading, row | difference | interval | p |", "|---|---:|---|---:|"]
        for row, (value, low, high, p) in method["differences"].items():
            lines.append(f"| {row} | {100 * value:+.1f} | {100 * low:+.1f} to {100 * high:+.1f} | {p:.4f} |")
    return "\n".join(lines) + "\n"


def _figure(figure: dict[str, Any]) -> str:
    return f"{100 * figure['mean']:.1f}" + (f" ± {100 * figure['sd']:.1f}" if figure["sd"] is not None else "")


def _difference(method: dict[str, Any]) -> str:
    if "differences" not in method:
        return "-"
    shown = (method["differences"][f"{reading}/all"] for reading in READINGS)
    points = ", ".join(f"{100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})" for value, low, high, _ in shown)
    return f"{points} against {method['against']}"


def _draw(document: dict[str, Any], work: Path) -> None:
    """Draw rank-1 over the seconds of training, one line for each method of seed 0."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    for place, reading in enumerate(READINGS):
        axes = figure.add_subplot(1, 2, place + 1)
        for name, style in (("seed-method", "--s"), ("ours", "-o"), ("ours-everybody", ":^")):
            if name in document["methods"]:
                axes.plot(*_curve(work / name / "seed-0", reading), style, label=name)
        axes.set(title=f"{reading}, people never trained on", xlabel="seconds of training", ylabel="rank-1 (%)")
        axes.grid(color="0.9")
        axes.legend()
    figure.savefig(HERE / "task_b_methods.png", dpi=110)


def _curve(folder: Path, reading: str) -> tuple[list[float], list[float]]:
    times = {}
    for line in _lines(str(folder / "times.jsonl")):
        event = json.loads(line)
        if event["event"] == "evaluated":
            times[event["step"]] = event["seconds"]
    events = [json.loads(line) for line in _lines(str(folder / "metrics.jsonl"))]
    found = [event for event in events if event["event"] == "evaluated"]
    values = [100 * event["results"]["identification"][reading]["rank1"] for event in found]
    return [times[event["step"]] for event in found], values


if __name__ == "__main__":
    main()
