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

from metricface.cli.arguments import Model, check_model
from metricface.errors import UsageError

if TYPE_CHECKING:
    from metricface.deploy.classify import Labelled


def classify(
    model: Model,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Photos, in it and below.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="CSV to write: path, label, probability, status.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line per photo.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the CSV if it is there.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Photos at once.")] = 64,
) -> None:
    """Label photos with a trained classifier; classes, threshold and temperature come from the model folder."""
    if out is None and not as_json:
        raise UsageError("classify: nowhere to put the labels. Say -o out.csv, or --json for lines on stdout.")
    check_model(model)
    if out is not None:
        _check(out, force=force)
    from metricface.cli.render import Screen
    from metricface.components.registry import installed_registries
    from metricface.deploy.classify import Classifier, find_photos, write_csv

    with Screen() as screen:
        classifier = Classifier(model, installed_registries())
        for notice in classifier.notices:
            screen.say(notice)
        found = find_photos(folder)
        counts: Counter[bool] = Counter()
        rows = _shown(classifier.label(found.photos, batch_size, screen.progress("classifying")), counts, as_json)
        if out is None:
            deque(rows, maxlen=0)
        else:
            write_csv(out, rows)
        screen.say(f"{counts[True]} photos labelled, {counts[False]} unreadable, {found.ignored} other files ignored")
    if out is not None and not as_json:
        print(out)


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
