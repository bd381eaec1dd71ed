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

import json
import shutil
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from methods import (
    HERE,
    RECIPES,
    SAMPLES,
    Method,
    curve,
    differences,
    finished,
    machine,
    mean_and_sd,
    over_seeds,
    percent,
    points,
    read_options,
    run_method,
    seconds,
    training,
)

from metricface.contracts.results import JoinedReading
from metricface.files import write_json, write_text

FREQUENT, RARE, RATIO, SEED = "male", "female", 5, 0
READINGS = ("fitted-threshold", "threshold-0.5")
FIGURES = ("balanced_accuracy", f"f1 {RARE}", f"f1 {FREQUENT}", "accuracy")

FAST = tomllib.loads((RECIPES / "task_a_fast.toml").read_text(encoding="utf-8"))
SAME_NETWORK = {"backbone": FAST["backbone"]}
SAME_SIZE = (f"data.image_size={FAST['data']['image_size']}",)
SAME_TIME = (*SAME_SIZE, f"train.epochs={FAST['train']['epochs']}", f"train.batch_size={FAST['train']['batch_size']}")
SEEDS = (0, 1, 2)
ALWAYS = ('data.person_pattern=""',)  # the photos' names do not say who it is
METHODS = {
    "baseline": Method("task_a", "the method of task_a.toml, equal time", SAME_NETWORK, SAME_TIME, SEEDS),
    "ours": Method("task_a_fast", "task_a_fast.toml", seeds=SEEDS, against=("baseline", "baseline-whole")),
    "baseline-whole": Method(
        "task_a", "the method of task_a.toml, all of its epochs", SAME_NETWORK, SAME_SIZE, SEEDS, ("baseline",)
    ),
    "one-view": Method(
        "task_a_fast",
        "ours without mirror and zoom",
        changes=("embedding.mirror=false", "embedding.zoom=1.0"),
        against=("ours",),
    ),
    "no-embedding": Method("task_a_fast", "ours, head on the features", {"embedding": None}, against=("ours",)),
    "no-crop": Method(
        "task_a_fast", "ours without random crop", changes=("transform.random-crop.probability=0",), against=("ours",)
    ),
    "no-correction": Method(
        "task_a_fast", "ours without logit adjustment", changes=("loss.bce.logit_adjustment=0.0",), against=("ours",)
    ),
    "sampler": Method(
        "task_a_fast",
        "ours, the sampler and not logit adjustment",
        changes=("sampler.name=class-balanced", "loss.bce.logit_adjustment=0.0"),
        against=("ours",),
    ),
}


TIMED = ("baseline", "ours")


def main() -> None:
    options = read_options(__doc__, METHODS, "task_a_methods", "photos")
    tree = options.work / "tree"
    _thin(options.photos, tree)
    for name in options.only or METHODS:
        run_method(METHODS[name], options.work / name, (f"data.root={tree}", *ALWAYS), options.threads)
    done = finished(METHODS, options.work)
    document = {
        "conditions": {**machine(options.threads), "bootstrap": SAMPLES, "photos": _counted(tree)},
        "methods": {},
    }
    for name, method in done.items():
        document["methods"][name] = _summary(options.work, name, method, done)
    write_json(HERE / "task_a_methods.json", document)
    write_text(HERE / "task_a_methods.md", _table(document))
    _draw(document, options.work)
    print(_table(document))


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


def _counted(tree: Path) -> dict[str, Any]:
    return {split: {name: len(_photos(tree / split / name)) for name in (RARE, FREQUENT)} for split in ("train", "val")}


def _summary(work: Path, name: str, method: Method, done: Mapping[str, Method]) -> dict[str, Any]:
    """Return figures at both thresholds, the steps and seconds of training, and the paired differences."""
    found = over_seeds(work, name, "classification")
    return {
        "what": method.what,
        "seeds": list(method.seeds),
        "figures": {reading: _figures(found[reading]) for reading in READINGS if reading in found},
        "training": training(work, name),
        "differences": {other: _differences(work, other, name) for other in method.against if other in done},
    }


def _figures(reading: JoinedReading) -> dict[str, Any]:
    """Return mean and standard deviation over the seeds of every figure of the table."""
    of_class = {f"f1 {name}": reading.tables["class"][name]["f1"] for name in (RARE, FREQUENT)}
    values = {**of_class, **{name: reading.figures[name] for name in ("balanced_accuracy", "accuracy")}}
    return {name: mean_and_sd(values[name]) for name in FIGURES}


def _differences(work: Path, a: str, b: str) -> dict[str, list[float]]:
    """Return B - A by figure, at the fitted threshold."""
    named = {path.rpartition("/all/")[2]: values for path, values in differences(work, a, b).items() if "/all/" in path}
    return {figure: named[figure] for figure in FIGURES}


def _table(document: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    methods = document["methods"]
    lines = ["# Task A: ours against the method it is measured against", "", json.dumps(document["conditions"]), ""]
    lines += [
        "Seconds of training with its evaluations, in brackets at the pace of the fastest tenth of its steps. Other "
        "work ran beside; task_a_time.md has the times of two methods in turns."
    ]
    for reading in READINGS:
        lines += ["", f"At the {reading.replace('-', ' ')}, % with standard deviation over seeds:", ""]
        lines += [
            f"| method | seeds | steps | seconds | {' | '.join(FIGURES)} |",
            "|---|---:|---:|---:" + "|---:" * 4 + "|",
        ]
        for name, method in methods.items():
            if reading in method["figures"]:
                cells = " | ".join(percent(method["figures"][reading][figure]) for figure in FIGURES)
                about = f"{name}: {method['what']} | {len(method['seeds'])} | {method['training'][0]['steps']}"
                lines.append(f"| {about} | {seconds(method['training'])} | {cells} |")
    lines += ["", "Differences at the fitted threshold, points with 95 % interval over photos (means over seeds):", ""]
    lines += [f"| method | {' | '.join(FIGURES)} |", "|---" * 5 + "|"]
    for name, method in methods.items():
        for other, found in method["differences"].items():
            cells = " | ".join(f"{points(found[figure])}, p {found[figure][-1]:.4f}" for figure in FIGURES)
            lines.append(f"| {name} minus {other} | {cells} |")
    return "\n".join(lines) + "\n"


def _draw(document: dict[str, Any], work: Path) -> None:
    """Draw balanced accuracy over the seconds of training (seed 0), and what ours gains with its intervals."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    curves, gains = figure.subplots(1, 2)
    for name, style in (("baseline", "--s"), ("baseline-whole", ":^"), ("ours", "-o")):
        if name in document["methods"]:
            curves.plot(
                *curve(work / name / "seed-0", "classification", "balanced_accuracy"),
                style,
                color="0.2",
                label=name,
                markersize=4,
            )
    curves.set(title="photos of val", xlabel="seconds of training", ylabel="balanced accuracy (%)")
    curves.legend()
    for offset, (other, found) in enumerate(document["methods"].get("ours", {}).get("differences", {}).items()):
        for place, name in enumerate(FIGURES):
            value, low, high, _ = (100 * number for number in found[name])
            label = f"ours minus {other}" if not place else None
            bar: dict[str, Any] = {"fmt": "os"[offset], "color": ("0.1", "0.5")[offset], "capsize": 3, "label": label}
            gains.errorbar(value, place + 0.2 * offset, xerr=[[value - low], [high - value]], **bar)
    gains.axvline(0, color="0.7")
    gains.set(title="paired differences, 95 % over photos", xlabel="points", yticks=range(len(FIGURES)))
    gains.set_yticklabels(FIGURES)
    gains.invert_yaxis()
    if gains.containers:
        gains.legend()
    figure.savefig(HERE / "task_a_methods.png", dpi=110)


if __name__ == "__main__":
    main()
