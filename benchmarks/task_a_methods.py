"""Is experiments/task_a_fast.toml better than the method of task_a.toml, on equal weights in equal time?

    python benchmarks/task_a_methods.py --photos PHOTOS [--work DIR] [--only NAME]... [--threads N]

PHOTOS/{train,val}/{female,male}/* are photos of one's own. Train is thinned to five male photos to each female one, by
links in DIR/tree that are chosen with a seed; val stays whole. Every method below is a run folder in DIR; finished ones
are kept and interrupted ones go on, so the script can be stopped and started at will. At the end the table and the
picture beside this file are written anew from what is there.

All methods have the ImageNet weights of EfficientNet-Lite0, photos of 112 px, and as many epochs of as many photos as
task_a_fast.toml, which makes equal time on equal backbones; "baseline-whole" has the 25 epochs of task_a.toml.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from metricface.compare import compare_runs
from metricface.files import write_json, write_text

HERE = Path(__file__).parent
RECIPES = HERE.parent / "experiments"
FREQUENT, RARE, RATIO, SEED = "male", "female", 5, 0
READINGS = ("fitted-threshold", "threshold-0.5")
FIGURES = ("balanced_accuracy", f"f1 {RARE}", f"f1 {FREQUENT}", "accuracy")
SAMPLES = 10_000


@dataclass(frozen=True)
class Method:
    """A recipe with changes, and what the table says of it.

    `sections` replace those of the recipe whole, None takes one out; `changes` are for `--set`.
    """

    recipe: str
    what: str
    sections: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    against: tuple[str, ...] = ("baseline",)


FAST = tomllib.loads((RECIPES / "task_a_fast.toml").read_text(encoding="utf-8"))
SAME_NETWORK = {"backbone": FAST["backbone"]}
SAME_SIZE = (f"data.image_size={FAST['data']['image_size']}",)
SAME_TIME = (*SAME_SIZE, f"train.epochs={FAST['train']['epochs']}", f"train.batch_size={FAST['train']['batch_size']}")
SEEDS = (0, 1, 2)
METHODS = {
    "baseline": Method("task_a", "the method of task_a.toml, equal time", SAME_NETWORK, SAME_TIME, SEEDS),
    "ours": Method("task_a_fast", "task_a_fast.toml", seeds=SEEDS, against=("baseline", "baseline-whole")),
    "baseline-whole": Method("task_a", "the method of task_a.toml, all of its epochs", SAME_NETWORK, SAME_SIZE, SEEDS),
    "no-mirror": Method("task_a_fast", "ours without mirror", changes=("embedding.mirror=false",), against=("ours",)),
    "no-embedding": Method("task_a_fast", "ours, head on the features", {"embedding": None}, against=("ours",)),
    "no-crop": Method(
        "task_a_fast", "ours without random crop", changes=("transform.random-crop.probability=0",), against=("ours",)
    ),
    "no-correction": Method(
        "task_a_fast", "ours, photos drawn as they come", changes=("sampler.name=shuffled",), against=("ours",)
    ),
    "logit-adjustment": Method(
        "task_a_fast",
        "ours, logit adjustment and not the sampler",
        changes=("sampler.name=shuffled", "loss.bce.logit_adjustment=1.0"),
        against=("ours",),
    ),
    "both-corrections": Method(
        "task_a_fast",
        "ours, pos_weight besides the sampler",
        changes=("loss.bce.pos_weight=balanced",),
        against=("ours",),
    ),
}


def main() -> None:
    options = _options()
    tree = options.work / "tree"
    _thin(options.photos, tree)
    for name in options.only or METHODS:
        _run(METHODS[name], options.work / name, tree, options.threads)
    done = {name: method for name, method in METHODS.items() if (options.work / name / "seeds.json").is_file()}
    document = {"conditions": _conditions(tree, options.threads), "methods": {}}
    for name, method in done.items():
        document["methods"][name] = _summary(options.work, name, method, done)
    write_json(HERE / "task_a_methods.json", document)
    write_text(HERE / "task_a_methods.md", _table(document))
    _draw(document, options.work)
    print(_table(document))


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/task_a_methods"))
    parser.add_argument("--only", action="append", choices=METHODS)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


def _thin(photos: Path, tree: Path) -> None:
    """Lay out links to the photos: all of val and of the frequent class, of the rare one a fifth as many."""
    if tree.is_dir():
        return
    frequent, rare = (_photos(photos / "train" / name) for name in (FREQUENT, RARE))
    wanted = round(len(frequent) / RATIO)
    if not 0 < wanted <= len(rare):
        sys.exit(f"{photos}: {RATIO} to 1 needs {wanted} photos of {RARE} (there are {len(rare)}).")
    chosen = np.random.default_rng(SEED).choice(len(rare), wanted, replace=False)
    part = tree.with_name(f"{tree.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "train" / RARE).mkdir(parents=True)
    (part / "val").symlink_to((photos / "val").resolve())
    (part / "train" / FREQUENT).symlink_to((photos / "train" / FREQUENT).resolve())
    for photo in sorted(rare[number] for number in chosen):
        (part / "train" / RARE / photo.name).symlink_to(photo.resolve())
    part.rename(tree)


def _photos(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _run(method: Method, folder: Path, tree: Path, threads: int) -> None:
    """Train and evaluate all seeds of a method; what is finished stays."""
    table = tomllib.loads((RECIPES / f"{method.recipe}.toml").read_text(encoding="utf-8"))
    kept = {name: section for name, section in {**table, **method.sections}.items() if section is not None}
    recipe = folder.with_suffix(".toml")
    write_text(recipe, tomli_w.dumps(kept))
    changes = (f"data.root={tree}", 'data.person_pattern=""', *method.changes)
    sets = [word for change in changes for word in ("--set", change)]
    seeds = ",".join(map(str, method.seeds))
    command = [sys.executable, "-m", "metricface", "run", str(recipe), *sets, "--seeds", seeds, "--out", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run([*command, "--resume"], env=environment, stdout=subprocess.DEVNULL, check=True)


def _summary(work: Path, name: str, method: Method, done: dict[str, Method]) -> dict[str, Any]:
    """Return figures at both thresholds, the steps and seconds of training, and the paired differences."""
    seeds = json.loads((work / name / "seeds.json").read_text(encoding="utf-8"))
    found = seeds["results"]["classification"]
    compared = [other for other in method.against if other in done and other != name]
    return {
        "what": method.what,
        "seeds": list(method.seeds),
        "figures": {reading: _figures(found[reading]) for reading in READINGS if reading in found},
        "training": [_training(folder) for folder in sorted((work / name).glob("seed-*"))],
        "differences": {other: _differences(work / other, work / name) for other in compared},
    }


def _figures(reading: Mapping[str, Any]) -> dict[str, Any]:
    """Return mean and standard deviation over the seeds of every figure of the table."""
    of_class = {f"f1 {name}": reading["by_class"][name]["f1"] for name in (RARE, FREQUENT)}
    values = {**of_class, **{name: reading[name] for name in ("balanced_accuracy", "accuracy")}}
    return {name: {"mean": values[name]["mean"], "sd": values[name]["sd"]} for name in FIGURES}


def _differences(a: Path, b: Path) -> dict[str, list[float]]:
    """Return B - A with its 95 % interval over photos and p, at the fitted threshold."""
    found = compare_runs(a, b, samples=SAMPLES, seed=0).differences
    return {
        part.figure: [part.difference, *(part.interval or ()), part.p]
        for part in found
        if part.row == "all" and part.figure in FIGURES
    }


def _training(folder: Path) -> dict[str, Any]:
    """Return the steps of one run and its seconds, evaluations and interrupted parts included."""
    events = [json.loads(line) for line in _lines(folder / "times.jsonl")]
    ends = [a["seconds"] for a, b in pairwise(events) if b["seconds"] < a["seconds"]]
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    seconds = sum(ends) + events[-1]["seconds"]
    return {"steps": events[-1]["step"], "seconds": seconds, "precision": record["precision"]["name"]}


def _conditions(tree: Path, threads: int) -> dict[str, Any]:
    import torch

    models = [line.split(":")[1].strip() for line in _lines(Path("/proc/cpuinfo")) if "model name" in line]
    counted = {
        split: {name: len(_photos(tree / split / name)) for name in (RARE, FREQUENT)} for split in ("train", "val")
    }
    cpu = models[0] if models else platform.machine()
    return {"cpu": cpu, "threads": threads, "torch": torch.__version__, "photos": counted, "bootstrap": SAMPLES}


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _table(document: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    methods = document["methods"]
    lines = ["# Task A: ours against the method it is measured against", "", json.dumps(document["conditions"])]
    for reading in READINGS:
        lines += ["", f"At the {reading.replace('-', ' ')}, % with standard deviation over seeds:", ""]
        lines += [
            f"| method | seeds | steps | seconds | {' | '.join(FIGURES)} |",
            "|---|---:|---:|---:" + "|---:" * 4 + "|",
        ]
        for name, method in methods.items():
            if reading in method["figures"]:
                cells = " | ".join(_figure(method["figures"][reading][figure]) for figure in FIGURES)
                seconds = " ".join(f"{run['seconds']:.0f}" for run in method["training"])
                about = f"{name}: {method['what']} | {len(method['seeds'])} | {method['training'][0]['steps']}"
                lines.append(f"| {about} | {seconds} | {cells} |")
    lines += ["", "Differences at the fitted threshold, points with 95 % interval over photos (means over seeds):", ""]
    lines += [f"| method | {' | '.join(FIGURES)} |", "|---" * 5 + "|"]
    for name, method in methods.items():
        for other, found in method["differences"].items():
            cells = " | ".join(_difference(found[figure]) for figure in FIGURES)
            lines.append(f"| {name} minus {other} | {cells} |")
    return "\n".join(lines) + "\n"


def _figure(figure: dict[str, Any]) -> str:
    return f"{100 * figure['mean']:.1f}" + (f" ± {100 * figure['sd']:.1f}" if figure["sd"] is not None else "")


def _difference(found: list[float]) -> str:
    value, low, high, p = found
    return f"{100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f}), p {p:.4f}"


def _draw(document: dict[str, Any], work: Path) -> None:
    """Draw balanced accuracy over the seconds of training (seed 0), and what ours gains with its intervals."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    curves, gains = figure.subplots(1, 2)
    for name, style in (("baseline", "--s"), ("baseline-whole", ":^"), ("ours", "-o")):
        if name in document["methods"]:
            curves.plot(*_curve(work / name / "seed-0"), style, color="0.2", label=name, markersize=4)
    curves.set(title="photos of val", xlabel="seconds of training", ylabel="balanced accuracy (%)")
    curves.legend()
    for offset, (other, found) in enumerate(document["methods"].get("ours", {}).get("differences", {}).items()):
        for place, name in enumerate(FIGURES):
            value, low, high, _ = (100 * number for number in found[name])
            label = f"ours minus {other}" if not place else None
            style = {"fmt": "os"[offset], "color": ("0.1", "0.5")[offset], "capsize": 3, "label": label}
            gains.errorbar(value, place + 0.2 * offset, xerr=[[value - low], [high - value]], **style)
    gains.axvline(0, color="0.7")
    gains.set(title="paired differences, 95 % over photos", xlabel="points", yticks=range(len(FIGURES)))
    gains.set_yticklabels(FIGURES)
    gains.invert_yaxis()
    if gains.containers:
        gains.legend()
    figure.savefig(HERE / "task_a_methods.png", dpi=110)


def _curve(folder: Path) -> tuple[list[float], list[float]]:
    times = {}
    for line in _lines(folder / "times.jsonl"):
        event = json.loads(line)
        if event["event"] == "evaluated":
            times[event["step"]] = event["seconds"]
    events = [json.loads(line) for line in _lines(folder / "metrics.jsonl")]
    found = [event for event in events if event["event"] == "evaluated"]
    values = [100 * event["results"]["classification"]["balanced_accuracy"] for event in found]
    return [times[event["step"]] for event in found], values


if __name__ == "__main__":
    main()
