"""Which loss recognises people that it was never trained on, all else equal?

    python benchmarks/task_b_losses.py --photos PHOTOS --split SPLIT.csv [--work DIR] [--only NAME]... [--threads N]

PHOTOS/<person>/<photo>.jpg are photos of one's own, SPLIT.csv says who is trained on (see `metricface data distort`).
Every loss is trained for three seeds of 5 epochs, each in a run folder of DIR; finished ones are kept and interrupted
ones go on, so the script can be stopped and started at will. At the end the table beside this file is written anew from
what is there.

It is task_b_fast.toml with another head or loss: EfficientNet-Lite0 with ImageNet weights at 112 px. To keep 21 runs
short the first stages are frozen, an epoch has two views of each photo in place of four, and evaluation sees one view.
Scale 30 and margin 0.3 for all margins: the papers' own are for millions of photos. Nothing was tuned to a loss.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from methods import (
    HERE,
    SAMPLES,
    Method,
    differences,
    finished,
    machine,
    mean_and_sd,
    metricface,
    over_seeds,
    people,
    percent,
    points,
    read_options,
    run_method,
    seconds,
    training,
)

from metricface.files import write_json, write_text

READINGS = ("same-source", "cross-source")
REFERENCE = "arcface"
SAME = (
    "train.epochs=5",
    "train.evaluate_every=5",
    "train.frozen_stages=4",
    "sampler.views=2",
    "embedding.whitening=0.0",
    "embedding.mirror=false",
    "embedding.zoom=1.0",
)
CROSS_ENTROPY = [{"name": "cross-entropy"}]
SUPCON = {"name": "supcon", "temperature": 0.1}
MARGIN = {"scale": 30.0, "margin": 0.3}
LOSSES: dict[str, tuple[str, dict[str, Any]]] = {
    "arcface": ("ArcFace", {"head": {"name": "arcface", **MARGIN}, "loss": CROSS_ENTROPY}),
    "adaface": ("AdaFace", {"head": {"name": "adaface", **MARGIN}, "loss": CROSS_ENTROPY}),
    "curricularface": ("CurricularFace", {"head": {"name": "curricularface", **MARGIN}, "loss": CROSS_ENTROPY}),
    "subcenter-arcface": (
        "Sub-center ArcFace",
        {"head": {"name": "subcenter-arcface", **MARGIN}, "loss": CROSS_ENTROPY},
    ),
    "supcon": ("SupCon, temperature 0.1", {"head": None, "loss": [SUPCON]}),
    "triplet": ("triplet, batch-hard", {"head": None, "loss": [{"name": "triplet"}], "miner": {"name": "batch-hard"}}),
    "arcface-supcon": (
        "ArcFace + SupCon",
        {"head": {"name": "arcface", **MARGIN}, "loss": [*CROSS_ENTROPY, SUPCON]},
    ),
}
METHODS = {
    name: Method("task_b_fast", what, sections, SAME, seeds=(0, 1, 2), against=(REFERENCE,) * (name != REFERENCE))
    for name, (what, sections) in LOSSES.items()
}


def main() -> None:
    options = read_options(__doc__, METHODS, "task_b_losses", "photos", "split")
    tree = options.work / "tree"
    metricface("data", "distort", options.photos, tree, "--split", options.split)
    for name in options.only or METHODS:
        run_method(METHODS[name], options.work / name, (f"data.root={tree}",), options.threads)
    done = finished(METHODS, options.work)
    document: dict[str, Any] = {
        "conditions": {**machine(options.threads), "bootstrap": SAMPLES, "people": people(options.split)},
        "changes": list(SAME),
        "losses": {},
    }
    for name, method in done.items():
        found = over_seeds(options.work, name, "identification")
        document["losses"][name] = {
            "what": method.what,
            "seeds": list(method.seeds),
            "figures": {reading: mean_and_sd(found[reading].figures["rank1"]) for reading in READINGS},
            "training": training(options.work, name),
            "differences": {
                other: _differences(options.work, other, name) for other in method.against if other in done
            },
        }
    write_json(HERE / "task_b_losses.json", document)
    write_text(HERE / "task_b_losses.md", _table(document))
    print(_table(document))


def _differences(work: Path, a: str, b: str) -> dict[str, list[float]]:
    """Return B - A in rank-1 over all probes, by reading."""
    found = differences(work, a, b)
    return {reading: found[f"{reading}/all/rank1"] for reading in READINGS}


def _table(document: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    lines = ["# Losses on people never trained on", "", json.dumps(document["conditions"]), ""]
    lines += [f"task_b_fast.toml with {', '.join(document['changes'])}.", ""]
    lines += [
        "Rank-1 in %, mean and standard deviation over seeds; differences in points, paired, with 95 % interval over "
        "people. Seconds of training with its evaluation, in brackets at the pace of the fastest tenth of its steps.",
        "",
        f"| loss | seeds | same-source | minus {REFERENCE} | cross-source | minus {REFERENCE} | seconds |",
        "|---|---:|---:|---|---:|---|---|",
    ]
    for found in document["losses"].values():
        cells = []
        for reading in READINGS:
            against = found["differences"].get(REFERENCE, {}).get(reading)
            cells += [percent(found["figures"][reading]), points(against) if against else "-"]
        lines.append(
            f"| {found['what']} | {len(found['seeds'])} | {' | '.join(cells)} | {seconds(found['training'])} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
