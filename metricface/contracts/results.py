"""What an evaluator returns: figures that carry their conditions, ready for JSON. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metricface.errors import EvaluationError

Outcomes = Mapping[str, Sequence[str] | Sequence[int] | Sequence[float]]


@dataclass(frozen=True, slots=True)
class Value:
    """One figure.

    Args:
        value: the figure; never NaN (leave the figure out and say why in a Refusal).
        n: how many photos, pairs or probes it was computed over.
        interval: 95 % confidence interval (low, high), or None where none was computed.
    """

    value: float
    n: int
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise EvaluationError(f"results: a figure over n = {self.n} is {self.value}. Leave it out and say why.")


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one condition or group, for instance `Row("foggy", {"rank1": Value(...)})`."""

    name: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read the data: the figures over all of it, the rows they fall into, and what was left out.

    Args:
        name: for instance "same-source".
        values: name -> figure over all probes.
        rows: by condition or group.
        counts: how many were left out or set apart, by reason.
        by: what the rows are, "condition", "group", "class", or "similarity": rows of cosines and not of fractions.
        confusion: class -> class it was taken for -> photos; {} where nothing is classified.
    """

    name: str
    values: Mapping[str, Value]
    rows: tuple[Row, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    by: str = "condition"
    confusion: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold with the rule that it was fitted for and the data that it was fitted on.

    Args:
        threshold: accept when the score is at least this.
        rule: for instance "FAR <= 0.001" or "max F1".
        fitted_on: for instance "val, cross-fitted over people".
        values: what it reaches there, for instance {"tar": 0.962, "far": 0.00098}, and a classifier's temperature.
    """

    threshold: float
    rule: str
    fitted_on: str
    values: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return {"threshold": 0.4, "rule": ..., "fitted_on": ..., "tar": 0.962, ...}."""
        return {"threshold": self.threshold, "rule": self.rule, "fitted_on": self.fitted_on, **self.values}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> OperatingPoint:
        """Return the point that `to_json` described; KeyError where it did not."""
        values = dict(document)
        return cls(values.pop("threshold"), values.pop("rule"), values.pop("fitted_on"), values)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A figure that was asked for and cannot be given, and why."""

    figure: str
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """All that one evaluator found.

    Args:
        evaluator: its name.
        readings: a single one, or headline figures beside the others, are named ""; two of one name are joined, so
            that a reading can have rows by class and by group.
        operating_points: what goes into the model file.
        refusals: what cannot be given.
        outcomes: what became of every probe or photo, column -> one value per row, so that two models can be compared
            on the same ones; {} where there is nothing to compare. Goes into a CSV file of its own, not into JSON.
    """

    evaluator: str
    readings: tuple[Reading, ...]
    operating_points: tuple[OperatingPoint, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    outcomes: Outcomes = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {column: len(values) for column, values in self.outcomes.items()}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{column} {length}" for column, length in lengths.items())
            raise EvaluationError(f"{self.evaluator}: its columns of outcomes are not of one length ({listed}).")

    def metric(self, name: str) -> float:
        """Return a headline figure by name: "rank1" or "cross-source.rank1".

        Raises:
            EvaluationError: there is no such figure in this result (names the ones there are).
        """
        known = {
            f"{reading.name}.{key}" if reading.name else key: figure.value
            for reading in self.readings
            for key, figure in reading.values.items()
        }
        if name not in known:
            why = "; ".join(f"{refusal.figure}: {refusal.reason}" for refusal in self.refusals)
            raise EvaluationError(
                f"{self.evaluator}: no figure {name!r} (there are: {', '.join(known) or 'none'}). {why}".rstrip()
            )
        return known[name]

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts and numbers: {"same-source": {"rank1": 0.9, "n": 70, "by_condition": {...}}, ...}."""
        document: dict[str, Any] = {}
        for reading in self.readings:
            target = document.setdefault(reading.name, {}) if reading.name else document
            target.update(_figures(reading.values))
            if reading.rows:
                target[f"by_{reading.by}"] = {row.name: _figures(row.values) for row in reading.rows}
            if reading.counts:
                target["counts"] = dict(reading.counts)
            if reading.confusion:
                target["confusion"] = {name: dict(row) for name, row in reading.confusion.items()}
        if self.operating_points:
            document["operating_points"] = [point.to_json() for point in self.operating_points]
        if self.refusals:
            document["refusals"] = [{"figure": r.figure, "reason": r.reason} for r in self.refusals]
        return document


def _figures(values: Mapping[str, Value]) -> dict[str, Any]:
    """Flatten figures; `n` is the first one's, and each interval stands beside its figure as `<name>_interval`."""
    flat: dict[str, Any] = {}
    for name, figure in values.items():
        flat[name] = figure.value
        flat.setdefault("n", figure.n)
        if figure.interval is not None:
            flat[f"{name}_interval"] = list(figure.interval)
    return flat
