"""Exceptions of a component's own, what they say and where they come from: one fault is told once."""

from __future__ import annotations

import re
from dataclasses import dataclass

from metricface.components.places import place_in, text_of
from metricface.components.registry import Factory
from metricface.errors import MetricFaceError

_NUMBER = re.compile(r"\d+")
_EDITED = "has been modified by an inplace operation"  # torch goes on with the operation and its shapes


@dataclass(frozen=True, slots=True)
class Fault:
    """An exception that a component raised.

    Args:
        shown: its text on one line, with type and place unless it is one of ours, which is for users.
        place: "file:line" of the component's own code that it came through last, "" where there is none.
        key: equal for one fault met in several checks: type, place, and the text but for its numbers, which are those
            of the batch, and for what torch adds on a tensor that autograd needs and the component edited.
    """

    shown: str
    place: str
    key: str


def fault_of(error: BaseException, component: Factory) -> Fault:
    """Return what an exception says, and where in the component's package it was raised."""
    text, place = " ".join(text_of(error).split()).rstrip("."), place_in(error, component)
    shown = text
    if not isinstance(error, MetricFaceError):
        shown = f"{type(error).__name__}: {text}".rstrip(": ") + (f", at {place}" if place else "")
    return Fault(shown, place, f"{type(error).__name__} {place} {_NUMBER.sub('#', text.partition(_EDITED)[0])}")
