"""Any transform of torchvision (v2) by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from inspect import Signature
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Le

from metricface.components.transforms import _by_name as by_name
from metricface.components.transforms._refused import TORCHVISION
from metricface.contracts import KeysOf, View
from metricface.errors import RecipeError

if TYPE_CHECKING:
    from metricface.contracts import Image

# Its p is not of doing it at all, but of each of its changes.
_OWN_P = "RandomPhotometricDistort"
_ANNOTATIONS = {
    "interpolation": Literal["nearest", "nearest-exact", "bilinear", "bicubic"],  # tensors take no others
    "policy": Literal["imagenet", "cifar10", "svhn"],
}


@cache
def _signatures() -> Mapping[str, Signature]:
    """Return name -> what a recipe may set, of every transform that it may name."""
    from torchvision.transforms import v2

    return {
        name: by_name.signature_of(made, annotations=_ANNOTATIONS, own=("p",) if name == _OWN_P else ())
        for name, made in sorted(vars(v2).items())
        if isinstance(made, type) and issubclass(made, v2.Transform) and name not in TORCHVISION
    }


TRANSFORMS = KeysOf(
    "transform", _signatures, "transform", refused=TORCHVISION, filled=by_name.FILLED, elsewhere=by_name.ELSEWHERE
)


class TorchvisionTransform:
    """A transform of torchvision.transforms.v2 on a uint8 tensor, with its own names, defaults and units.

    The names and what they take are listed below, under "transform". In a recipe:

        [[transform]]
        name = "torchvision"
        transform = "RandomPerspective"
        probability = 0.3
        [transform.arguments]
        distortion_scale = 0.2

    Only those that make a uint8 photo of the same size of a photo alone can be named; each is tried when a recipe is
    checked. One that asks for a size (RandomResizedCrop) is given that of the photos.

    Args:
        image_size: side length of the photos in pixels.
        transform: name of the class.
        probability: of doing it, in place of the library's `p` where a class has one.
        arguments: its constructor's.

    Raises:
        RecipeError: there is no such transform, it refuses its arguments, or what it makes is no photo of that size.

    Source:
        https://docs.pytorch.org/vision/stable/transforms.html, v2.
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
            raise RecipeError(f"transform.torchvision: {refusal}.")
        self._transform, self._probability = _made(transform, arguments or {}, image_size), probability

    @staticmethod
    def size_refusals(arguments: Mapping[str, Any], image_size: int) -> Mapping[str, str]:
        """Return what is wrong with the arguments, or with what the transform makes of a photo; see HasSizeRefusals."""
        refusal = _refusal(arguments["transform"], arguments["arguments"] or {}, image_size)
        return {"arguments": refusal} if refusal else {}

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """Return the view, changed or not; condition and severity stay."""
        if rng.random() >= self._probability:
            return view
        image: Image = _changed(self._transform, view.image, rng)
        return View(image, view.condition, view.severity)


def _made(name: str, arguments: Mapping[str, Any], side: int) -> Any:
    """Return an object of a class of v2 that always does what it does, to photos of a side length."""
    from torchvision.transforms import v2

    enums = {"interpolation": v2.InterpolationMode, "policy": v2.AutoAugmentPolicy}
    given = {key: enums[key](value) if key in enums else value for key, value in arguments.items()}
    made: type = getattr(v2, name)
    always = {"p": 1.0} if name != _OWN_P and "p" in by_name.parameters_of(made) else {}
    return made(**given, **by_name.sizes_of(made, side), **always)


def _changed(transform: Any, image: Image, rng: np.random.Generator) -> Any:
    """Return the photo (H, W, 3) as v2 changes it, or whatever else comes of it."""
    tensor = torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C"))  # a copy: v2 may work in place
    with _seeded(int(rng.integers(2**63))):
        made = transform(tensor)
    if not isinstance(made, torch.Tensor):
        return made
    return np.ascontiguousarray(np.moveaxis(made.numpy(), 0, -1))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the generator of the CPU that v2 draws from, and put it back as it was."""
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before)


def _refusal(name: str, arguments: Mapping[str, Any], side: int) -> str:
    """Return why a transform cannot be used on photos of a side length, "" where it can."""
    if name not in _signatures():
        return TRANSFORMS.refusal(name)
    if refusal := by_name.refused_numbers(arguments):
        return refusal
    what = f"{name} of torchvision"
    try:
        always = _made(name, arguments, side)
    except Exception as error:
        return by_name.refused_arguments(what, error, arguments, _signatures()[name])
    return by_name.refused_result(what, lambda photo, rng: _changed(always, photo, rng), side)
