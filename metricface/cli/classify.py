"""metricface classify."""

from __future__ import annotations

import json
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metricface.cli.arguments import BatchSize, Device, Force, Model, check_device, check_model
from metricface.errors import UsageError, counted

if TYPE_CHECKING:
    from metricface.deploy.classify import Classifier, Labelled


Photos = Annotated[
    list[Path],
    typer.Argument(
        metavar="PHOTOS",
        help="Photos, folders of them (all below counts), patterns in quotes: 'new/**/*.jpg'. Hidden ones if named.",
        show_default=False,
    ),
]


def classify(
    model: Model,
    photos: Photos,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="CSV to write: path, label, probability, status.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line per photo.")] = False,
    force: Force = False,
    batch_size: BatchSize = 64,
    device: Device = "auto",
) -> None:
    """Label photos with a trained classifier; classes, threshold and temperature come from the model folder."""
    if out is None and not as_json:
        raise UsageError("classify: nowhere to put the labels. Say -o out.csv, or --json for lines on stdout.")
    check_model(model)
    if out is not None:
        _check(out, force=force)
    from metricface.cli.render import Screen
    from metricface.data.named_photos import find_photos
    from metricface.deploy.classify import write_csv

    check_device(device)
    with Screen() as screen:
        found = find_photos(photos)
        classifier = _classifier(model, device)
        for notice in (*classifier.notices, *found.notices):
            screen.say(notice)
        counts: Counter[bool] = Counter()
        rows = _shown(classifier.label(found.photos, batch_size, screen.progress("classifying")), counts, as_json)
        if out is None:
            deque(rows, maxlen=0)
        else:
            write_csv(out, rows)
        screen.say(f"{counted(counts[True], 'photo', 'photos')} labelled, {counts[False]} unreadable")
    if out is not None and not as_json:
        print(out)


def _classifier(model: Path, device: str) -> Classifier:
    from metricface.components.registry import installed_registries
    from metricface.deploy.classify import Classifier

    return Classifier(model, installed_registries(), device=device)


def _shown(rows: Iterable[Labelled], counts: Counter[bool], as_json: bool) -> Iterator[Labelled]:
    """Pass rows on, count them by whether they have a label, and print them as JSON lines."""
    for row in rows:
        counts[row.probability is not None] += 1
        if as_json:
            print(json.dumps(asdict(row)))
        yield row


def _check(out: Path, *, force: bool) -> None:
    """Refuse, before any work, a file that could not or should not be written."""
    if out.is_dir() or not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise UsageError(
            f"{out}: cannot be written (it is a folder, or its folder is missing or read-only). Name a file."
        )
    if out.exists() and not force:
        raise UsageError(f"{out}: is there already. Name another file, or replace it with --force.")
