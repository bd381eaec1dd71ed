"""Reading CSV files that say what photos are, so that a mistake can be named by file and line."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metricface.errors import DataError


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: the line of the file that it ends on, and the text under each column, "" for none."""

    line: int
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file: its columns in order, and its rows."""

    columns: Sequence[str]
    rows: Sequence[Row]


def read_table(path: Path, required: Sequence[str], layout: str) -> Table:
    """Read a CSV file with a header line, in UTF-8 with or without a byte-order mark.

    Args:
        path: the file.
        required: columns that must be there, in any order and among others.
        layout: which columns there are, as a sentence for the messages.

    Raises:
        DataError: the file cannot be read, a column is missing or there twice, a row is longer than the header, or
            there is no row; names file and line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", strict=True)  # strict: an open quote must not swallow the rest
            columns = list(reader.fieldnames or ())
            _check_columns(path, columns, required, layout)
            rows = []
            for values in reader:
                if None in values:
                    raise DataError(
                        f"{path}:{reader.line_num}: has more values than the {len(columns)} columns of line 1. "
                        "Put a value with a comma in it in double quotes."
                    )
                rows.append(Row(reader.line_num, values))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV file in UTF-8 ({error}).") from error
    if not rows:
        raise DataError(f"{path}: lists no photo.")
    return Table(columns, rows)


def header(path: Path) -> Sequence[str]:
    """Return the columns of a CSV file, none where they cannot be read; the rest of the file may be wrong."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def _check_columns(path: Path, columns: Sequence[str], required: Sequence[str], layout: str) -> None:
    """Refuse a header without the required columns, or with a name twice."""
    missing = [name for name in required if name not in columns]
    if missing:
        there = f" (got {', '.join(columns)})" if columns else ""
        raise DataError(f"{path}:1: no column {missing[0]!r}{there}. {layout}")
    twice = [name for name in columns if columns.count(name) > 1]
    if twice:
        raise DataError(f"{path}:1: the column {twice[0]!r} is there twice. Take one out.")
