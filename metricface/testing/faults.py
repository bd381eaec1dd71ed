"""Exceptions of a component's own, what they say and where they come from: one fault is told once."""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

from metricface.components.registry import Factory
from metricface.errors import MetricFaceError

_OURS = "metricface"
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Fault:
    """An exception that a component raised.

    Args:
        shown: its text on one line, with type and place unless it is one of ours, which is for users.
        place: "file:line" of the component's own code that it came through last, "" where there is none.
        key: equal for one fault met in several checks: type, place, and the text but for its numbers, which are those
            of the batch.
    """

    shown: str
    place: str
    key: str


def fault_of(error: BaseException, component: Factory) -> Fault:
    """Return what an exception says, and where in the component's package it was raised."""
    text, place = " ".join(str(error).split()).rstrip("."), _place(error, component)
    shown = text
    if not isinstance(error, MetricFaceError):
        shown = f"{type(error).__name__}: {text}".rstrip(": ") + (f", at {place}" if place else "")
    return Fault(shown, place, f"{type(error).__name__} {place} {_NUMBER.sub('#', text)}")


def _place(error: BaseException, component: Factory) -> str:
    homes = _homes(component)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename).resolve()
        if any(file.is_relative_to(home) for home in homes):
            return f"{frame.filename}:{frame.lineno}"
    return ""


def _homes(component: Factory) -> list[Path]:
    """Return the folder of the package that a component comes from, or the file of its module; of ours the file."""
    module = inspect.getmodule(component)
    if module is None:
        return []
    top = sys.modules.get(module.__name__.partition(".")[0], module)
    if top.__name__ != _OURS and hasattr(top, "__path__"):
        return [Path(folder).resolve() for folder in top.__path__]
    return [Path(module.__file__).resolve()] if module.__file__ else []
