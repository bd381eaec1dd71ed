"""Reading JSON back: a value together with where it stands, so that a refusal can say so. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from metricface.errors import DataError, EvaluationError

_SHOWN = 60  # characters of a wrong value that a message repeats


@dataclass(frozen=True, slots=True)
class Stored:
    """A part of a JSON document.

    Args:
        value: what `json.loads` gave.
        where: the path to it, "results.identification.readings[0]".
    """

    value: Any
    where: str

    def refused(self, what: str) -> DataError:
        """Return the error that says what is wrong with it."""
        got = repr(self.value)
        got = got if len(got) <= _SHOWN else f"{got[:_SHOWN]}..."
        return DataError(f"{self.where}: {what} (got {got}). Run or evaluate again.")

    def table(self, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Stored]:
        """Return the values of an object with these keys; optional ones that are absent or null are left out.

        Raises:
            DataError: it is no object, lacks a required key, or has another one.
        """
        found = self.entries()
        for key in required:
            if key not in found:
                raise self.refused(f"{key} is missing")
        for key in found:
            if key not in required and key not in optional:
                raise self.refused(f"unknown key {key!r}")
        return {key: part for key, part in found.items() if key in required or part.value is not None}

    def entries(self) -> dict[str, Stored]:
        """Return the values of an object with any keys; DataError where it is none."""
        if not isinstance(self.value, Mapping):
            raise self.refused("should be an object")
        return {str(key): Stored(value, f"{self.where}.{key}") for key, value in self.value.items()}

    def elements(self) -> list[Stored]:
        """Return the values of a list; DataError where it is none."""
        if not isinstance(self.value, list | tuple):
            raise self.refused("should be a list")
        return [Stored(value, f"{self.where}[{number}]") for number, value in enumerate(self.value)]

    def text(self) -> str:
        """Return a string; DataError where it is none."""
        if not isinstance(self.value, str):
            raise self.refused("should be a string")
        return self.value

    def number(self) -> float:
        """Return a finite number, a whole one as an int; DataError where it is none."""
        if not is_number(self.value):
            raise self.refused("should be a finite number")
        number: float = self.value
        return number

    def interval(self) -> tuple[float, float]:
        """Return two finite numbers; DataError where it is no list of two."""
        bounds = [part.number() for part in self.elements()]
        if len(bounds) != 2:
            raise self.refused("should be two numbers, low and high")
        return bounds[0], bounds[1]

    def count(self) -> int | None:
        """Return a whole number from 0, or None for null; DataError where it is neither."""
        if self.value is not None and (type(self.value) is not int or self.value < 0):
            raise self.refused("should be a whole number from 0, or null")
        count: int | None = self.value
        return count


def is_number(value: Any) -> bool:
    """Whether JSON can hold a value as a number that means one."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def plain_number(value: Any) -> Any:
    """Return a number of numpy, or of another library, as Python's own int or float; anything else as it is."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def plain_count(value: Any, what: str) -> int | None:
    """Return a count as Python's own int; None, which stands for one that differs from run to run, as it is.

    Raises:
        EvaluationError: it is no whole number from 0.
    """
    count = plain_number(value)
    if count is None:
        return None
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise EvaluationError(f"results: {what} is a whole number from 0, or None (got {value!r}). Count anew.")
    return count
