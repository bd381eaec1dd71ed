"""One figure, with what it is counted over and its unit. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from metricface.contracts.stored import Stored, is_number, plain_count, plain_number
from metricface.errors import EvaluationError

Unit = Literal["share", "cosine", "count", "seconds", "none"]
UNITS: tuple[Unit, ...] = get_args(Unit)


@dataclass(frozen=True, slots=True)
class Spread:
    """How a figure moves from run to run; its `Value.value` is the mean.

    Args:
        sd: standard deviation (n - 1) over the runs that gave the figure; None from a single one.
        values: of each run, None where a run gave none.
    """

    sd: float | None
    values: tuple[float | None, ...]

    @property
    def runs(self) -> int:
        """How many runs gave the figure."""
        return sum(value is not None for value in self.values)

    def to_json(self) -> dict[str, Any]:
        """Return {"sd": 0.01, "runs": 2, "values": [0.5, null, 0.52]}."""
        return {"sd": self.sd, "runs": self.runs, "values": list(self.values)}

    @classmethod
    def from_json(cls, stored: Stored) -> Spread:
        """Return what `to_json` described; DataError where it did not."""
        table = stored.table(("sd", "runs", "values"))
        values = tuple(None if part.value is None else part.number() for part in table["values"].elements())
        found = cls(None if table["sd"].value is None else table["sd"].number(), values)
        if table["runs"].count() != found.runs:
            raise table["runs"].refused(f"should be {found.runs}, the number of values")
        return found


@dataclass(frozen=True, slots=True)
class Value:
    """One figure.

    Args:
        value: the figure, a float or an int; never NaN (leave the figure out and say why in a Refusal).
        n: how many photos, pairs or probes it was computed over; None where that differs from run to run.
        interval: 95 % confidence interval (low, high), or None where none was computed.
        unit: "share" of a whole, from 0 to 1 and shown in percent; "cosine"; "count" of things; "seconds"; or "none",
            any other number, shown as it is.
        spread: over several runs, None for a figure of one.

    Raises:
        EvaluationError: it is not a finite number, `n` is no count, the interval is not two numbers, or no known unit.
    """

    value: float
    n: int | None
    interval: tuple[float, float] | None = None
    unit: Unit = "share"
    spread: Spread | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", plain_number(self.value))
        object.__setattr__(self, "n", plain_count(self.n, "n of a figure"))
        if self.interval is not None:
            object.__setattr__(self, "interval", tuple(map(plain_number, self.interval)))
            if len(self.interval) != 2:
                raise EvaluationError(f"results: an interval is (low, high) (got {self.interval}).")
        for number in (self.value, *(self.interval or ())):
            if not is_number(number):
                raise EvaluationError(f"results: a figure over n = {self.n} is {number}. Leave it out and say why.")
        if self.unit not in UNITS:
            raise EvaluationError(f"results: unknown unit of a figure (got {self.unit!r}). Units: {', '.join(UNITS)}.")

    def to_json(self) -> dict[str, Any]:
        """Return {"value": 0.5, "n": 8, "unit": "share"}, with "interval" and "spread" where there are some."""
        document: dict[str, Any] = {"value": self.value, "n": self.n, "unit": self.unit}
        if self.interval is not None:
            document["interval"] = list(self.interval)
        if self.spread is not None:
            document["spread"] = self.spread.to_json()
        return document

    @classmethod
    def from_json(cls, stored: Stored) -> Value:
        """Return what `to_json` described; DataError where it did not."""
        table = stored.table(("value", "n", "unit"), ("interval", "spread"))
        if table["unit"].value not in UNITS:
            raise table["unit"].refused(f"should be one of {', '.join(UNITS)}")
        interval = table["interval"].interval() if "interval" in table else None
        spread = Spread.from_json(table["spread"]) if "spread" in table else None
        return cls(table["value"].number(), table["n"].count(), interval, table["unit"].value, spread)
