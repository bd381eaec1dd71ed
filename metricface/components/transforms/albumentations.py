"""Any transform of albumentations by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from inspect import Signature
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge, Le

from metricface.components.transforms import _by_name as by_name
from metricface.components.transforms._albumentation import Albumentation, library
from metricface.components.transforms._refused import ALBUMENTATIONS
from metricface.contracts import KeysOf, View
from metricface.errors import RecipeError

if TYPE_CHECKING:
    from metricface.contracts import Image


@cache
def _signatures() -> Mapping[str, Signature]:
    """Return name -> what a recipe may set, of every transform that it may name."""
    found = {}
    for name, made in sorted(vars(library()).items()):
        if isinstance(made, type) and issubclass(made, library().BasicTransform) and name not in ALBUMENTATIONS:
            schema: Any = made
            known = schema.InitSchema.model_fields  # of others it says that it does not take them
            found[name] = by_name.signature_of(made, known)
    return found


TRANSFORMS = KeysOf(
    "transform", _signatures, "transform", refused=ALBUMENTATIONS, filled=by_name.FILLED, elsewhere=by_name.ELSEWHERE
)


class AlbumentationsTransform:
    """A transform of albumentations, with its own names, defaults and units.

    The names and what they take are listed below, under "transform". In a recipe:

        [[transform]]
        name = "albumentations"
        transform = "CoarseDropout"
        probability = 0.3
        [transform.arguments]
        num_holes_range = [1, 3]

    Only those that make a uint8 photo of the same size of a photo alone can be named; each is tried when a recipe is
    checked. One that asks for a size (RandomResizedCrop) is given that of the photos.

    Args:
        image_size: side length of the photos in pixels.
        transform: name of the class.
        probability: of doing it, in place of the library's `p`.
        arguments: its constructor's.

    Raises:
        RecipeError: there is no such transform, it refuses its arguments, or what it makes is no photo of that size.

    Source:
        https://albumentations.ai/docs/, of version 2.0.8.
    """

    def __init__(
        self,
        *,
        image_size: int,
        transform: str,
        probability: Annotated[float, Ge(0), Le(1)] = 0.5,
        arguments: Annotated[dict[str, Any] | None, TRANSFORMS] = None,
    ) -> None:
        if refusal := _refusal(transform, arguments or {}, image_size):
            raise RecipeError(f"transform.albumentations: {refusal}.")
        self._change = _made(transform, arguments or {}, image_size, probability)

    @staticmethod
    def size_refusals(arguments: Mapping[str, Any], image_size: int) -> Mapping[str, str]:
        """Return what is wrong with the arguments, or with what the transform makes of a photo; see HasSizeRefusals."""
        refusal = _refusal(arguments["transform"], arguments["arguments"] or {}, image_size)
        return {"arguments": refusal} if refusal else {}

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """Return the view, changed or not; condition and severity stay."""
        return self._change(view, rng)


def _made(name: str, arguments: Mapping[str, Any], side: int, probability: float) -> Albumentation:
    """Return a transform for photos of a side length."""
    sizes = by_name.sizes_of(getattr(library(), name), side)
    return Albumentation(name, **arguments, **sizes, p=probability)


def _refusal(name: str, arguments: Mapping[str, Any], side: int) -> str:
    """Return why a transform cannot be used on photos of a side length, "" where it can."""
    if name not in _signatures():
        return TRANSFORMS.refusal(name)
    if refusal := by_name.refused_numbers(arguments):
        return refusal
    what = f"{name} of albumentations"
    try:
        always = _made(name, arguments, side, 1.0)
    except Exception as error:
        return by_name.refused_arguments(what, error, arguments, _signatures()[name])

    def change(photo: Image, rng: np.random.Generator) -> object:
        return always(View(photo), rng).image

    return by_name.refused_result(what, change, side)
