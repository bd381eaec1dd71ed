"""Reading the Args of a docstring, and whether a number there says its unit."""

from __future__ import annotations

import inspect
import re
from typing import Any

_SECTION = re.compile(r"^Args:\s*$(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"^    (\w+(?:, \w+)*): ?(.*?)(?=^    \S|\Z)", re.MULTILINE | re.DOTALL)

# A word of a parameter's name -> the words of which its description has at least one. A name that is in no line here
# has no unit (a seed, a count) or is itself the unit (a probability, a share).
_UNITS = {
    "margin": ("radian", "degree", "cos", "distance", "logit"),
    "angle": ("radian", "degree"),
    "threshold": ("radian", "degree", "cos", "distance", "logit", "probability", "similarity", "score"),
    "temperature": ("cos", "logit", "no unit"),
    "scale": ("cos", "logit", "factor", "share", "fraction", "pixel"),
    "radius": ("pixel", "fraction", "share", "radian", "cos", "distance"),
    "sigma": ("pixel", "fraction", "share", "grey", "255", "radian", "cos"),
    "size": ("pixel", "fraction", "share", "photo", "embedding", "pair"),
    "width": ("pixel", "fraction", "share", "factor"),
    "height": ("pixel", "fraction", "share", "factor"),
    "length": ("pixel", "fraction", "share", "second", "step"),
    "timeout": ("second",),
    "seconds": ("second",),
    "duration": ("second", "step", "epoch"),
    "warmup": ("step", "epoch", "share", "fraction"),
    "norm": ("length", "norm", "cos", "no unit"),
}


def described(docstring: str) -> dict[str, str]:
    """Return parameter -> its description under Args; `a, b: text` describes both."""
    section = _SECTION.search(inspect.cleandoc(docstring))
    entries = _ENTRY.findall(section[1]) if section else []
    return {name: " ".join(text.split()) for names, text in entries for name in names.split(", ")}


def has_number(annotation: Any) -> bool:
    """Whether an annotation, an object or its text, takes a number."""
    return re.search(r"\b(float|int)\b", annotation if isinstance(annotation, str) else repr(annotation)) is not None


def missing_unit(name: str, description: str) -> str:
    """Return the units that a parameter of this name may have, as "radian, ... or cos", "" when it says one."""
    for word, units in _UNITS.items():
        if word in name.split("_") and not any(unit in description.lower() for unit in units):
            *others, last = units
            return f"{', '.join(others)} or {last}" if others else last
    return ""
