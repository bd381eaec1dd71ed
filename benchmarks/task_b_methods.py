"""Is experiments/task_b_fast.toml better than the method it is measured against, in half the time, and what gives that?

    python benchmarks/task_b_methods.py --photos PHOTOS --split SPLIT.csv [--work DIR] [--only NAME]... [--threads N]

PHOTOS/<person>/<photo>.jpg are photos of one's own, SPLIT.csv says who is trained on (see `metricface data distort`).
Every method below is a run folder in DIR; finished ones are kept and interrupted ones go on, so the script can be
stopped and started at will. At the end the table and the picture beside this file are written anew from what is there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from methods import (
    HERE,
    SAMPLES,
    Method,
    curve,
    differences,
    finished,
    lines_of,
    machine,
    mean_and_sd,
    metricface,
    most_to_win,
    over_seeds,
    people,
    percent,
    points,
    read_options,
    run_method,
    seconds,
    training,
)

from metricface.contracts.results import JoinedReading
from metricface.files import write_json, write_text

READINGS = ("same-source", "cross-source")
SHORT = ("train.epochs=2", "train.evaluate_every=2")
SHORTER = ("short",)
NO_WHITENING = "embedding.whitening=0.0"
METHODS = {
    "seed-method": Method("task_b_seed", "the method measured against, 10 epochs", seeds=(0, 1, 2)),
    "ours": Method("task_b_fast", "task_b_fast.toml", seeds=(0, 1, 2), against=("seed-method",)),
    "ours-everybody": Method(
        "task_b_fast",
        "task_b_fast.toml, with all people outside val",
        changes=("data.cache_gib=3.0",),  # so that all photos stay in memory
        against=("seed-method",),
        tree="tree-everybody",
    ),
    "short": Method("task_b_fast", "task_b_fast.toml, 2 epochs only", changes=SHORT, against=("seed-method",)),
    "short-one-view": Method(
        "task_b_fast",
        "short without mirror and zoom",
        changes=(*SHORT, "embedding.mirror=false", "embedding.zoom=1.0"),
        against=SHORTER,
    ),
    "short-no-whitening": Method(
        "task_b_fast", "short without whitening", changes=(*SHORT, NO_WHITENING), against=SHORTER
    ),
    "short-no-projection": Method(
        "task_b_fast",
        "short, evaluated on the embedding layer, which has no whitening",
        changes=(*SHORT, NO_WHITENING, "embedding.projection=false"),
        against=("short", "short-no-whitening"),
    ),
    "short-no-supcon": Method(
        "task_b_fast", "short without SupCon", changes=(*SHORT, "loss.supcon.weight=0.0"), against=SHORTER
    ),
    "short-no-distortion": Method(
        "task_b_fast",
        "short without distortion on the fly",
        changes=(*SHORT, "transform.random-distortion.probability=0.0"),
        against=SHORTER,
    ),
}


TIMED = ("seed-method", "ours")
ALWAYS: tuple[str, ...] = ()


def main() -> None:
    options = read_options(__doc__, METHODS, "task_b_methods", "photos", "split")
    for name in options.only or METHODS:
        tree = options.work / METHODS[name].tree
        _make_tree(options, tree)
        run_method(METHODS[name], options.work / name, (f"data.root={tree}",), options.threads)
    done = finished(METHODS, options.work)
    document = {
        "conditions": {**machine(options.threads), "bootstrap": SAMPLES, "people": people(options.split)},
        "methods": {},
    }
    for name, method in done.items():
        found = over_seeds(options.work, name, "identification")
        document["methods"][name] = {
            "what": method.what,
            "seeds": list(method.seeds),
            "changes": list(method.changes),
            "figures": {reading: _rank1(found[reading]) for reading in READINGS},
            "training": training(options.work, name),
            "differences": {
                other: _of_rank1(differences(options.work, other, name)) for other in method.against if other in done
            },
        }
    document["most_to_win"] = {
        other: _of_rank1(most_to_win(options.work, other, "identification"))
        for other in METHODS["ours"].against
        if other in done
    }
    write_json(HERE / "task_b_methods.json", document)
    write_text(HERE / "task_b_methods.md", _table(document))
    _draw(document, options.work)
    print(_table(document))


def _make_tree(options: Any, tree: Path) -> None:
    """Lay out the photos of the split; in the second tree, all people outside val are trained on, with all photos."""
    split = options.split
    if tree.name == METHODS["ours-everybody"].tree:
        rows = [line.split(",") for line in lines_of(split)[1:]]
        val = {person for part, person, _ in rows if part == "val"}
        kept = [",".join(row) for row in rows if row[0] == "val"]
        for person in sorted(path for path in options.photos.iterdir() if path.is_dir() and path.name not in val):
            kept += [f"train,{person.name},{photo.name}" for photo in sorted(person.iterdir())]
        split = options.work / "everybody.csv"
        options.work.mkdir(parents=True, exist_ok=True)
        write_text(split, "\n".join(["split,person,photo", *kept]) + "\n")
    metricface("data", "distort", options.photos, tree, "--split", split)


def _rank1(reading: JoinedReading) -> dict[str, Any]:
    rows = {"all": reading.figures, **reading.tables["condition"]}
    return {row: mean_and_sd(figures["rank1"]) for row, figures in rows.items()}


def _of_rank1(found: dict[str, list[float]]) -> dict[str, list[float]]:
    """Return the differences in rank-1 by "reading/row"."""
    return {path.removesuffix("/rank1"): values for path, values in found.items() if path.endswith("/rank1")}


def _table(document: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    methods = document["methods"]
    lines = ["# Task B: ours against the method it is measured against", "", json.dumps(document["conditions"]), ""]
    lines += [
        "Seconds of training with its evaluations, in brackets at the pace of the fastest tenth of its steps. Other "
        "work ran beside; task_b_time.md has the times of two methods in turns.",
        "",
        "| method | steps | seconds | same-source % | worst condition % | cross-source % | difference (same, cross) |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, method in methods.items():
        same, cross = (method["figures"][reading] for reading in READINGS)
        worst = min((row for row in same if row not in ("all", "clean")), key=lambda row: same[row]["mean"])
        lines.append(
            f"| {name}: {method['what']} | {method['training'][0]['steps']} | {seconds(method['training'])} | "
            f"{percent(same['all'])} | {worst} {percent(same[worst])} | {percent(cross['all'])} | {_against(method)} |"
        )
    lines += ["", "Same-source and cross-source rank-1 by condition:", ""]
    conditions = [row for row in next(iter(methods.values()))["figures"]["same-source"] if row != "all"]
    lines += ["| method | " + " | ".join(conditions) + " |", "|---" * (len(conditions) + 1) + "|"]
    for name, method in methods.items():
        cells = (
            " / ".join(f"{100 * method['figures'][reading][row]['mean']:.1f}" for reading in READINGS)
            for row in conditions
        )
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for other, found in methods.get("ours", {"differences": {}})["differences"].items():
        most = document["most_to_win"][other]
        lines += ["", f"Minus {other}, points with 95 % interval over people, ours and a method without error:", ""]
        lines += ["| reading, row | ours | p | no error |", "|---|---|---:|---|"]
        lines += [f"| {row} | {points(own)} | {own[-1]:.4f} | {points(most[row])} |" for row, own in found.items()]
    return "\n".join(lines) + "\n"


def _against(method: dict[str, Any]) -> str:
    shown = (
        ", ".join(points(found[f"{reading}/all"]) for reading in READINGS) + f" against {other}"
        for other, found in method["differences"].items()
    )
    return "; ".join(shown) or "-"


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
                axes.plot(*curve(work / name / "seed-0", "identification", f"{reading}.rank1"), style, label=name)
        axes.set(title=f"{reading}, people never trained on", xlabel="seconds of training", ylabel="rank-1 (%)")
        axes.grid(color="0.9")
        axes.legend()
    figure.savefig(HERE / "task_b_methods.png", dpi=110)


if __name__ == "__main__":
    main()
