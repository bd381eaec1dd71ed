"""Finding the figures in the JSON of results, of one run or of several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def readings(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the readings of a result: the one without a name, which is the result itself, and the named ones."""
    named = [
        (name, value)
        for name, value in result.items()
        if isinstance(value, Mapping) and not is_figure(value) and not _is_part(name)
    ]
    return [("", result), *named] if "n" in result or not named else named


def is_figure(value: Any) -> bool:
    """Whether a value of a reading or row is a figure: a float of one run, or its spread over several."""
    return isinstance(value, float) or (isinstance(value, Mapping) and "mean" in value)


def _is_part(name: str) -> bool:
    return name.startswith("by_") or name in ("counts", "confusion")
