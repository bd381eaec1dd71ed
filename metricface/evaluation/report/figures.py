"""How a figure is written for people: its name, and its number in its unit."""

from __future__ import annotations

import re

from metricface.contracts.results import Unit, Value

_NAMES = {
    "rank1": "rank-1",
    "rank5": "rank-5",
    "f1": "F1",
    "auroc": "AUROC",
    "ece": "ECE",
    "r_precision": "R-precision",
    "map": "mAP",
    "map_at_r": "mAP@R",
    "minp": "mINP",
    "ece_after_temperature": "ECE after temperature",
}
_AT = re.compile(r"(\w+)_at_(\d+)")
_SUFFIXES: dict[Unit, str] = {"share": " %", "seconds": " s"}
_LARGE = 1000  # from here on a plain number has no decimals


def figure_name(key: str) -> str:
    """Return a figure's name in the field's spelling: "rank-1", "balanced accuracy", "recall@5"."""
    return _NAMES.get(key, _AT.sub(r"\1@\2", key).replace("_", " "))


def suffix(unit: Unit) -> str:
    """Return what stands after a number of this unit, or in the heading of its column."""
    return _SUFFIXES.get(unit, "")


def in_unit(value: Value) -> str:
    """Return the number with its unit: "98.2 %", a cosine "0.310", a count "3", "1.5 s"."""
    return number(value.value, value.unit) + suffix(value.unit)


def with_conditions(value: Value) -> str:
    """Return the number with what is known of it and no unit: "98.2 (96.1 to 99.4)", or over runs "98.2 ± 0.3".

    Where not all runs gave the figure it says how many did: "98.2 ± 0.3 (2 of 3 runs)".
    """
    text = number(value.value, value.unit)
    if value.interval is not None:
        low, high = (number(bound, value.unit) for bound in value.interval)
        text += f" ({low} to {high})"
    if value.spread is not None:
        if value.spread.sd is not None:
            text += f" ± {number(value.spread.sd, value.unit)}"
        if value.spread.runs < len(value.spread.values):
            text += f" ({value.spread.runs} of {len(value.spread.values)} runs)"
    return text


def number(value: float, unit: Unit) -> str:
    """Return a number of this unit, without the unit."""
    if unit == "share":
        return f"{100 * value:.1f}"
    if unit == "cosine":
        return f"{value:.3f}"
    if isinstance(value, int):
        return str(value)
    return f"{value:.0f}" if abs(value) >= _LARGE else f"{value:.4g}"
