"""Transforms of other packages by name: what a recipe may set, and whether they make a photo of the same size."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from metricface.contracts import Image

_DRAWS = 8  # random sizes and amounts show in a few draws
_PAIR, _SIDES = "size", ("height", "width", "min_height", "min_width")
_WAY_OUT = "Change its arguments, or take another transform"

FILLED = frozenset((_PAIR, *_SIDES))
_MASKS = "is for masks and points, which photos of faces do not have here: take it out"
ELSEWHERE = {
    "p": "is said as probability, beside transform: write it there",
    "always_apply": "is said as probability = 1.0, beside transform: write it there",
    **dict.fromkeys(("fill_mask", "keypoint_remapping_method", "mask", "mask_drop_value"), _MASKS),
    **dict.fromkeys(("mask_interpolation", "mask_params"), _MASKS),
}


def parameters_of(made: type) -> dict[str, inspect.Parameter]:
    """Return the parameters of a class's constructor that have a name."""
    found = list(inspect.signature(made.__init__).parameters.items())[1:]  # type: ignore[misc]
    return {name: it for name, it in found if it.kind not in (it.VAR_KEYWORD, it.VAR_POSITIONAL)}


def signature_of(
    made: type,
    known: Collection[str] | None = None,
    annotations: Mapping[str, Any] | None = None,
    own: Collection[str] = (),
) -> inspect.Signature:
    """Return the parameters of a class that a recipe may set, keyword-only; what has no annotation here takes anything.

    Args:
        made: whose constructor.
        known: names of parameters that it takes, where its signature has more.
        annotations: name -> type of those that are checked here and not by the package.
        own: names that mean another thing than ELSEWHERE says.
    """
    found = []
    for name, parameter in parameters_of(made).items():
        said = (name in ELSEWHERE and name not in own) or name in FILLED
        if said or (known is not None and name not in known):
            continue
        default = parameter.default.value if isinstance(parameter.default, Enum) else parameter.default
        annotation = (annotations or {}).get(name, Any)
        found.append(inspect.Parameter(name, parameter.KEYWORD_ONLY, default=default, annotation=annotation))
    return inspect.Signature(found)


def sizes_of(made: type, side: int) -> dict[str, Any]:
    """Return the arguments of a class that are the size of what it makes, which is that of the photos."""
    asked = parameters_of(made)
    sizes: dict[str, Any] = {name: side for name in _SIDES if name in asked}
    return {**sizes, _PAIR: (side, side)} if _PAIR in asked else sizes


def refused_numbers(arguments: Mapping[str, Any]) -> str:
    """Return what is wrong with arguments that hold a number which is none or infinite, "" where nothing is."""
    wrong = [f"{key} = {value!r}" for key, value in arguments.items() if not _finite(value)]
    return f"must be finite numbers (got {', '.join(wrong)})" if wrong else ""


def _finite(value: object) -> bool:
    if isinstance(value, Mapping | list | tuple):
        return all(map(_finite, value.values() if isinstance(value, Mapping) else value))
    return not isinstance(value, float) or math.isfinite(value)


def refused_arguments(what: str, error: Exception, arguments: Mapping[str, Any], known: inspect.Signature) -> str:
    """Return the message for arguments over which a constructor raised an error; defaults are not shown."""
    given = {key: value for key, value in arguments.items() if value != known.parameters[key].default}
    shown = ", ".join(f"{key} = {value!r}" for key, value in given.items())
    return f"{what} refuses them ({_one_line(error)}; got {shown or 'none'}). Change them"


def refused_result(what: str, change: Callable[[Image, np.random.Generator], object], side: int) -> str:
    """Return why what a transform makes of photos cannot be trained on, "" where it can.

    Args:
        what: to call it.
        change: photo uint8 (H, W, 3), generator -> what it makes of it, each time.
        side: of the photo that is tried, in pixels.
    """
    photo: Image = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    for seed in range(_DRAWS):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.filterwarnings("error", category=UserWarning)  # that it did nothing, for want of a mask
                made = change(photo.copy(), np.random.default_rng(seed))
        except Exception as error:
            return f"{what} cannot work on a photo of {side} x {side} alone ({_one_line(error)}). {_WAY_OUT}"
        if not isinstance(made, np.ndarray) or made.dtype != np.uint8:
            kind = f"numbers of {made.dtype}" if isinstance(made, np.ndarray) else f"a {type(made).__name__}"
            return (
                f"{what} gives {kind}, and photos stay uint8 until MetricFace normalises them. Take another transform"
            )
        if made.shape != photo.shape:
            shown = " x ".join(map(str, made.shape))
            return f"{what} makes {shown} of a photo of {side} x {side} x 3, and its size must stay. {_WAY_OUT}"
    return ""


def _one_line(error: Exception) -> str:
    """Return an error in a line: pydantic's findings without its addresses, or the text."""
    cause = error.__cause__ or error.__context__
    for found in (error, cause):
        if callable(errors := getattr(found, "errors", None)):
            return "; ".join(f"{'.'.join(map(str, it['loc'])) or 'all'}: {it['msg']}" for it in errors())
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
