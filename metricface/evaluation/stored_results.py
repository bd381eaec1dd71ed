"""Results as documents keep them: today's explicit form, and the flattened one of runs made before.

The flattened form had figures, rows and counts of a result in one dict, told apart by their names and types:
{"same-source": {"rank1": 0.9, "n": 70, "rank1_interval": [0.8, 1.0], "by_condition": {...}, "counts": {...}}, ...}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from metricface.contracts.results import OperatingPoint, Reading, Refusal, Result, Row, Spread, Unit, Value
from metricface.contracts.stored import Stored

_SPREAD = ("mean", "sd", "runs", "values")  # of a figure over several runs
_COSINES = "by_similarity"  # the one kind of row that was not of shares


def read_results(document: Any, where: str = "results") -> dict[str, Result]:
    """Return the `results` of a report.json, a seeds.json or an "evaluated" event, by evaluator.

    Args:
        document: what `json.loads` gave, of this MetricFace or of one that flattened results.
        where: what messages call it.

    Raises:
        DataError, EvaluationError: it is neither; names the place.
    """
    return {
        name: Result.from_json(part.value, part.where) if _is_explicit(part.value) else _unflattened(part)
        for name, part in Stored(document, where).entries().items()
    }


def _is_explicit(value: Any) -> bool:
    """Whether a result has today's form: a flattened one with a figure "schema" had no list of readings."""
    return isinstance(value, Mapping) and "schema" in value and isinstance(value.get("readings"), list)


def _unflattened(stored: Stored) -> Result:
    parts = stored.entries()
    points = _taken(parts, "operating_points")
    refusals = [part.table(("figure", "reason")) for part in _taken(parts, "refusals")]
    named = {name: part for name, part in parts.items() if _is_reading(name, part.value)}
    own = {name: part for name, part in parts.items() if name not in named}
    readings = _readings("", own) if own else []
    for name, part in named.items():
        readings += _readings(name, part.entries())
    return Result(
        tuple(readings),
        tuple(OperatingPoint.from_json(part.value, part.where) for part in points),
        tuple(Refusal(part["figure"].text(), part["reason"].text()) for part in refusals),
    )


def _taken(parts: dict[str, Stored], key: str) -> list[Stored]:
    """Take a list out of a result; a reading of that name stays."""
    return parts.pop(key).elements() if key in parts and isinstance(parts[key].value, list) else []


def _readings(name: str, parts: Mapping[str, Stored]) -> list[Reading]:
    """Return one reading: the second one and further ones of the name hold its rows of other kinds."""
    tables: list[tuple[str, tuple[Row, ...]]] = []
    counts: dict[str, int | None] = {}
    confusion: dict[str, dict[str, int]] = {}
    figures = {}
    for key, part in parts.items():
        if _is_table(key, part.value):
            unit: Unit = "cosine" if key == _COSINES else "share"
            rows = (Row(row, _figures(cells.entries(), unit)) for row, cells in part.entries().items())
            tables.append((key.removeprefix("by_"), tuple(rows)))
        elif _is_counts(key, part.value):
            counts = dict(part.value)
        elif _is_confusion(key, part.value):
            confusion = {actual: dict(row) for actual, row in part.value.items()}
        else:
            figures[key] = part
    (by, rows_of_first), *others = tables or [("condition", ())]
    whole = Reading(name, _figures(figures, "share"), rows_of_first, counts, by, confusion)
    return [whole, *(Reading(name, {}, rows, by=by) for by, rows in others)]


def _figures(parts: Mapping[str, Stored], unit: Unit) -> dict[str, Value]:
    """Return the figures of a reading or row; a whole number was neither a share nor a cosine."""
    n = parts["n"].count() if "n" in parts else None
    found = {}
    for name, part in parts.items():
        of = name.removesuffix("_interval")
        if name == "n" or (of != name and of in parts and isinstance(part.value, list)):
            continue
        if isinstance(part.value, Mapping):
            table = part.table(_SPREAD)
            values = tuple(None if one.value is None else one.number() for one in table["values"].elements())
            spread = Spread(None if table["sd"].value is None else table["sd"].number(), values)
            found[name] = Value(table["mean"].number(), n, None, unit, spread)
            continue
        bounds = parts.get(f"{name}_interval")
        interval = bounds.interval() if bounds is not None and isinstance(bounds.value, list) else None
        found[name] = Value(part.number(), n, interval, "none" if isinstance(part.value, int) else unit)
    return found


def _is_reading(name: str, value: Any) -> bool:
    """Whether a part of a result is a reading, whatever its name."""
    other = _is_table(name, value) or _is_counts(name, value) or _is_confusion(name, value)
    return isinstance(value, Mapping) and set(value) != set(_SPREAD) and not other


def _is_table(key: str, value: Any) -> bool:
    return key.startswith("by_") and isinstance(value, Mapping) and all(isinstance(v, Mapping) for v in value.values())


def _is_counts(key: str, value: Any) -> bool:
    return key == "counts" and _holds(value, lambda one: one is None or type(one) is int)


def _is_confusion(key: str, value: Any) -> bool:
    return key == "confusion" and _holds(value, lambda row: _holds(row, lambda cell: type(cell) is int))


def _holds(value: Any, check: Callable[[Any], bool]) -> bool:
    return isinstance(value, Mapping) and all(map(check, value.values()))
