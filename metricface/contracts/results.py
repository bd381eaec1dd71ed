"""What an evaluator returns: figures that carry their conditions, and their JSON. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metricface.contracts.figures import UNITS, Spread, Unit, Value
from metricface.contracts.readings import Figures, JoinedReading, Reading, Row, join_readings
from metricface.contracts.stored import Stored, is_number
from metricface.errors import EvaluationError

__all__ = [
    "SCHEMA",
    "UNITS",
    "Figures",
    "JoinedReading",
    "OperatingPoint",
    "Outcomes",
    "Reading",
    "Refusal",
    "Result",
    "Row",
    "Spread",
    "Unit",
    "Value",
]

SCHEMA = 1  # of Result.to_json
Outcomes = Mapping[str, Sequence[str] | Sequence[int] | Sequence[float]]
_POINT = ("threshold", "rule", "fitted_on")


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold with the rule that it was fitted for and the data that it was fitted on.

    Args:
        threshold: accept when the score is at least this.
        rule: for instance "FAR <= 0.001" or "max F1".
        fitted_on: for instance "val, cross-fitted over people".
        values: what it reaches there, for instance {"tar": 0.962, "far": 0.00098}, and a classifier's temperature.

    Raises:
        EvaluationError: a number is not finite, or a value has the name of another part.
    """

    threshold: float
    rule: str
    fitted_on: str
    values: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, number in {"threshold": self.threshold, **self.values}.items():
            if not is_number(number):
                raise EvaluationError(f"operating point: its {name} is {number}. Leave it out and say why.")
        if taken := [name for name in _POINT if name in self.values]:
            raise EvaluationError(f"operating point: a value cannot be called {taken[0]!r}. Give it another name.")

    def to_json(self) -> dict[str, Any]:
        """Return {"threshold": 0.4, "rule": ..., "fitted_on": ..., "tar": 0.962, ...}."""
        return {"threshold": self.threshold, "rule": self.rule, "fitted_on": self.fitted_on, **self.values}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], where: str = "operating point") -> OperatingPoint:
        """Return the point that `to_json` described; DataError where it did not."""
        parts = Stored(document, where).entries()
        table = Stored(document, where).table(_POINT, tuple(parts))
        values = {name: part.number() for name, part in parts.items() if name not in _POINT}
        return cls(table["threshold"].number(), table["rule"].text(), table["fitted_on"].text(), values)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A figure that was asked for and cannot be given, and why."""

    figure: str
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """All that one evaluator found. The engine knows the evaluator's name; the evaluator does not.

    Args:
        readings: a single one, or headline figures beside the others, are named ""; two of one name are joined, so
            that a reading can have rows by class and by group.
        operating_points: what goes into the model folder.
        refusals: what cannot be given.
        outcomes: what became of every probe or photo, column -> one value per row, so that two models can be compared
            on the same ones; {} where there is nothing to compare. Goes into a CSV file of its own: it is not in JSON,
            and two results that differ in it alone are equal.

    Raises:
        EvaluationError: a reading gives a figure or row twice, or the columns of outcomes are not of one length.
    """

    readings: tuple[Reading, ...] = ()
    operating_points: tuple[OperatingPoint, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    outcomes: Outcomes = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        given: object = self.readings
        if isinstance(given, str):
            raise EvaluationError(
                f"results: a Result begins with its readings (got the text {given!r}). Leave the evaluator's "
                "name out: the recipe gives it."
            )
        join_readings(self.readings)
        named = [f"{part.name}.{key}" if part.name else key for part in self.readings for key in part.figures]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise EvaluationError(f"results: two figures are called {twice[0]!r}, one would vanish. Rename one.")
        lengths = {column: len(values) for column, values in self.outcomes.items()}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{column} {length}" for column, length in lengths.items())
            raise EvaluationError(f"results: the columns of outcomes are not of one length ({listed}).")

    def joined(self) -> tuple[JoinedReading, ...]:
        """Return one reading for each name, in order."""
        return join_readings(self.readings)

    def figure(self, name: str) -> Value:
        """Return a figure over all probes by name: "rank1" or "cross-source.rank1".

        Raises:
            EvaluationError: there is no such figure in this result (names the ones there are).
        """
        known = self.figures()
        if name not in known:
            why = "; ".join(f"{refusal.figure}: {refusal.reason}" for refusal in self.refusals)
            raise EvaluationError(
                f"results: no figure {name!r} (there are: {', '.join(known) or 'none'}). {why}".rstrip()
            )
        return known[name]

    def figures(self) -> dict[str, Value]:
        """Return every figure over all probes by name."""
        return {
            f"{reading.name}.{key}" if reading.name else key: figure
            for reading in self.readings
            for key, figure in reading.figures.items()
        }

    def metric(self, name: str) -> float:
        """Return the number of `figure`."""
        return self.figure(name).value

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, dicts and numbers that `from_json` reads: everything but the outcomes."""
        return {
            "schema": SCHEMA,
            "readings": [reading.to_json() for reading in self.readings],
            "operating_points": [point.to_json() for point in self.operating_points],
            "refusals": [{"figure": refusal.figure, "reason": refusal.reason} for refusal in self.refusals],
        }

    @classmethod
    def from_json(cls, document: Any, where: str = "results") -> Result:
        """Return the result that `to_json` described, without outcomes.

        Args:
            document: what `json.loads` gave.
            where: what messages call it.

        Raises:
            DataError, EvaluationError: it is none, or of a newer MetricFace; names the place.
        """
        schema = Stored(document, where).entries().get("schema")
        if schema is not None and schema.count() != SCHEMA:
            raise schema.refused(f"this MetricFace reads results of schema {SCHEMA}")
        table = Stored(document, where).table(("schema", "readings", "operating_points", "refusals"))
        refusals = [part.table(("figure", "reason")) for part in table["refusals"].elements()]
        return cls(
            tuple(Reading.from_json(part) for part in table["readings"].elements()),
            tuple(OperatingPoint.from_json(part.value, part.where) for part in table["operating_points"].elements()),
            tuple(Refusal(part["figure"].text(), part["reason"].text()) for part in refusals),
        )

    def short(self) -> dict[str, Any]:
        """Return figures by reading, for scripts: {"same-source": {"rank1": 0.9, "n": 70, "by_condition": {...}}, ...}.

        Units are not in it, `n` is that of the first figure, and names can hide each other. Nothing reads it back.
        """
        document: dict[str, Any] = {}
        for reading in self.joined():
            target: dict[str, Any] = {} if reading.name else document
            if reading.name:
                document[reading.name] = target
            target.update(_short(reading.figures))
            for by, rows in reading.tables.items():
                target[f"by_{by}"] = {name: _short(figures) for name, figures in rows.items()}
            if reading.counts:
                target["counts"] = dict(reading.counts)
            if reading.confusion:
                target["confusion"] = {name: dict(row) for name, row in reading.confusion.items()}
        if self.operating_points:
            document["operating_points"] = [point.to_json() for point in self.operating_points]
        if self.refusals:
            document["refusals"] = [{"figure": r.figure, "reason": r.reason} for r in self.refusals]
        return document


def _short(figures: Figures) -> dict[str, Any]:
    """Flatten figures; `n` is the first one's, and each interval stands beside its figure as `<name>_interval`."""
    flat: dict[str, Any] = {}
    for name, figure in figures.items():
        flat[name] = figure.value
        flat.setdefault("n", figure.n)
        if figure.interval is not None:
            flat[f"{name}_interval"] = list(figure.interval)
    return flat
