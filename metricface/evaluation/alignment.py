"""Outcomes of several models brought into one order, after checking that they are of the same probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from metricface.errors import DataError

Table = Mapping[str, Sequence[str]]
Columns = Mapping[str, npt.NDArray[np.str_]]
Key = tuple[str, str]

_FACTS = ("person", "condition", "group", "label")  # of a probe, whatever the model; the other columns are found
_WAY_OUT = "Evaluate both on the same data: metricface eval MODEL --data DIR --outcomes FOLDER"


def align(evaluator: str, tables: Mapping[str, Table]) -> dict[str, Columns]:
    """Return every table with its rows sorted by reading and path, and a column `reading` ("" where it had none).

    Args:
        evaluator: for messages.
        tables: column -> text of each row, by the name of the run that they are of.

    Raises:
        DataError: a table holds a probe twice, or two tables are not of the same probes: one is missing, or they do not
            say the same of its person, condition or label.
    """
    places = {name: _places(evaluator, name, table) for name, table in tables.items()}
    first = next(iter(tables))
    for name, theirs in places.items():
        missing, extra = sorted(places[first].keys() - theirs.keys()), sorted(theirs.keys() - places[first].keys())
        if missing or extra:
            raise DataError(
                f"{evaluator}: not the same probes in {first} and {name}: {_some(missing)} only in the first, "
                f"{_some(extra)} only in the second. {_WAY_OUT}"
            )
    keys = sorted(places[first])
    aligned = {name: _sorted(table, [places[name][key] for key in keys]) for name, table in tables.items()}
    for name, columns in aligned.items():
        for column in (fact for fact in _FACTS if fact in columns and fact in aligned[first]):
            mine, other = aligned[first][column], columns[column]
            if len(differs := np.flatnonzero(mine != other)):
                at = differs[0]
                raise DataError(
                    f"{evaluator}: {columns['path'][at]} has the {column} {str(mine[at])!r} in {first} and "
                    f"{str(other[at])!r} in {name}, so they are not of the same data. {_WAY_OUT}"
                )
    return aligned


def _places(evaluator: str, name: str, table: Table) -> dict[Key, int]:
    """Return (reading, path) -> row."""
    readings = table.get("reading", [""] * len(table["path"]))
    found: dict[Key, int] = {}
    for row, key in enumerate(zip(readings, table["path"], strict=True)):
        if found.setdefault(key, row) != row:
            raise DataError(
                f"{name}: {evaluator} holds {_shown(key)} twice, so probes cannot be told apart. "
                "Take the photo out of the data once, and run again."
            )
    return found


def _sorted(table: Table, rows: Sequence[int]) -> Columns:
    columns = {name: np.array(values, np.str_)[rows] for name, values in table.items()}
    return {"reading": np.full(len(rows), ""), **columns}


def _some(keys: Sequence[Key]) -> str:
    return f"{len(keys)} (for instance {_shown(keys[0])})" if keys else "0"


def _shown(key: Key) -> str:
    return " ".join(key).strip()
