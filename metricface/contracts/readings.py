"""Figures in tables: the ways to read one set of photos. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from metricface.contracts.figures import Value
from metricface.contracts.stored import Stored, plain_count
from metricface.errors import EvaluationError

Figures = Mapping[str, Value]
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one condition or group, for instance `Row("foggy", {"rank1": Value(...)})`."""

    name: str
    figures: Figures

    def to_json(self) -> dict[str, Any]:
        """Return {"name": "foggy", "figures": {"rank1": {...}}}."""
        return {"name": self.name, "figures": _figures_to_json(self.figures)}

    @classmethod
    def from_json(cls, stored: Stored) -> Row:
        """Return what `to_json` described; DataError where it did not."""
        table = stored.table(("name", "figures"))
        return cls(table["name"].text(), _figures_from_json(table["figures"]))


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read the data: the figures over all of it, the rows they fall into, and what was left out.

    Args:
        name: for instance "same-source".
        figures: name -> figure over all probes.
        rows: by condition or group.
        counts: how many were left out or set apart, by reason; None where that differs from run to run.
        by: what the rows are: "condition", "group", "class", ...
        confusion: class -> class it was taken for -> photos; {} where nothing is classified.
    """

    name: str
    figures: Figures
    rows: tuple[Row, ...] = ()
    counts: Mapping[str, int | None] = field(default_factory=dict)
    by: str = "condition"
    confusion: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counts = {reason: plain_count(count, f"the count {reason!r}") for reason, count in self.counts.items()}
        object.__setattr__(self, "counts", counts)

    def to_json(self) -> dict[str, Any]:
        """Return {"name", "by", "figures", "rows", "counts", "confusion"}."""
        return {
            "name": self.name,
            "by": self.by,
            "figures": _figures_to_json(self.figures),
            "rows": [row.to_json() for row in self.rows],
            "counts": dict(self.counts),
            "confusion": {actual: dict(row) for actual, row in self.confusion.items()},
        }

    @classmethod
    def from_json(cls, stored: Stored) -> Reading:
        """Return what `to_json` described; DataError where it did not."""
        table = stored.table(("name", "by", "figures", "rows", "counts", "confusion"))
        confusion: dict[str, dict[str, int]] = {}
        for actual, row in table["confusion"].entries().items():
            confusion[actual] = {}
            for taken_for, part in row.entries().items():
                photos = part.count()
                if photos is None:
                    raise part.refused("should be a whole number from 0")
                confusion[actual][taken_for] = photos
        return cls(
            table["name"].text(),
            _figures_from_json(table["figures"]),
            tuple(Row.from_json(part) for part in table["rows"].elements()),
            {reason: part.count() for reason, part in table["counts"].entries().items()},
            table["by"].text(),
            confusion,
        )


@dataclass(frozen=True, slots=True)
class JoinedReading:
    """All readings of one name as one: it may have rows by class and by group.

    Args:
        name: of the readings.
        figures: over all probes.
        tables: what the rows are -> row -> its figures.
        counts, confusion: as in a `Reading`.
    """

    name: str
    figures: dict[str, Value] = field(default_factory=dict)
    tables: dict[str, dict[str, Figures]] = field(default_factory=dict)
    counts: dict[str, int | None] = field(default_factory=dict)
    confusion: dict[str, Mapping[str, int]] = field(default_factory=dict)


def join_readings(readings: Iterable[Reading]) -> tuple[JoinedReading, ...]:
    """Join readings by name, in the order in which the names first appear.

    Raises:
        EvaluationError: two readings of one name give a figure, row, count or class twice: one would vanish.
    """
    joined: dict[str, JoinedReading] = {}
    for reading in readings:
        target = joined.setdefault(reading.name, JoinedReading(reading.name))
        _add(target.figures, reading.figures.items(), reading.name, "figure")
        if reading.rows:
            table = target.tables.setdefault(reading.by, {})
            _add(table, ((row.name, row.figures) for row in reading.rows), reading.name, "row")
        _add(target.counts, reading.counts.items(), reading.name, "count")
        _add(target.confusion, reading.confusion.items(), reading.name, "class")
    return tuple(joined.values())


def _add(target: dict[str, _V], added: Iterable[tuple[str, _V]], reading: str, what: str) -> None:
    for name, value in added:
        if name in target:
            raise EvaluationError(
                f"results: reading {reading!r} has the {what} {name!r} twice. Give each a name of its own."
            )
        target[name] = value


def _figures_to_json(figures: Figures) -> dict[str, Any]:
    return {name: figure.to_json() for name, figure in figures.items()}


def _figures_from_json(stored: Stored) -> dict[str, Value]:
    return {name: Value.from_json(part) for name, part in stored.entries().items()}
