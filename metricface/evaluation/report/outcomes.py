"""What became of every probe, one CSV file per evaluator, so that models can be compared. Standard library only."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import IO
from urllib.parse import quote, unquote

from metricface.contracts.results import Outcomes, Result
from metricface.errors import DataError
from metricface.files import as_cell, from_cell, write_atomically

# A file name need not be UTF-8, and must not end a run after all of its training.
_ODD_BYTES = "surrogateescape"


def write_outcomes(folder: Path, results: Mapping[str, Result], instead_of: Iterable[Path] = ()) -> None:
    """Write folder/<evaluator>.csv, atomically, for every result that has outcomes, see `file_stem`.

    A column `path` is written relative to the photos' common folder, so that runs on two copies of the data compare.
    Text that a spreadsheet would run has an apostrophe before it, see `files.as_cell`.

    Args:
        folder: of outcomes alone; made if missing.
        results: by the evaluator's name.
        instead_of: earlier files, which go once these are written, so that nobody takes the two for one evaluation.
    """
    written = {folder / f"{file_stem(name)}.csv": result.outcomes for name, result in results.items()}
    for path, outcomes in written.items():
        if outcomes:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, partial(_write, outcomes))
    for path in instead_of:
        if not written.get(path):
            path.unlink(missing_ok=True)


def read_outcomes(folder: Path) -> dict[str, dict[str, list[str]]]:
    """Return every evaluator's outcomes, column -> text of each row, as `write_outcomes` left them.

    Raises:
        DataError: a file is no table: cannot be read, or a line has more or fewer fields than the first.
    """
    return {unquote(path.stem): _table(path) for path in sorted(folder.glob("*.csv"))}


def file_stem(evaluator: str) -> str:
    """Return an evaluator's name as a file of any system can have it: "metricface%3Aclassification"."""
    return quote(evaluator, safe="")


def relative_paths(paths: Sequence[str]) -> list[str]:
    """Return paths as seen from the deepest folder that holds all of them, with forward slashes.

    They are equal for two copies of a tree wherever the copies lie. Paths that share no folder stay as they are.
    """
    try:
        common = os.path.commonpath([PurePath(path).parent for path in paths])
    except ValueError:  # none at all, or on two drives, or some absolute and some not
        return [PurePath(path).as_posix() for path in paths]
    return [PurePath(path).relative_to(common).as_posix() for path in paths]


def _write(outcomes: Outcomes, file: IO[bytes]) -> None:
    if "path" in outcomes:
        outcomes = {**outcomes, "path": relative_paths([str(path) for path in outcomes["path"]])}
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(outcomes)
    writer.writerows(map(as_cell, row) for row in zip(*outcomes.values(), strict=True))
    file.write(text.getvalue().encode(errors=_ODD_BYTES))


def _table(path: Path) -> dict[str, list[str]]:
    try:
        with path.open(encoding="utf-8", errors=_ODD_BYTES, newline="") as file:
            columns, *rows = list(csv.reader(file, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: not a table of outcomes ({error}). Run or evaluate again.") from error
    for number, row in enumerate(rows, 2):
        if len(row) != len(columns):
            raise DataError(
                f"{path}: row {number} has {len(row)} fields, the first has {len(columns)}. Run or evaluate again."
            )
    return {column: [from_cell(row[place]) for row in rows] for place, column in enumerate(columns)}
