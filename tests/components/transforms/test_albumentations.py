"""Every transform of albumentations that a recipe may name, against the library called directly."""

from __future__ import annotations

import random
from typing import Any

import albumentations
import numpy as np
import pytest
import torch
from support.task_b_tree import photo

from metricface.components.transforms.albumentations import TRANSFORMS, AlbumentationsTransform
from metricface.contracts import View
from metricface.errors import RecipeError

FACE = photo(3, 0)
SIDE = FACE.shape[0]
NAMES = list(TRANSFORMS.signatures())
# What a recipe has to say, and what MetricFace fills in.
REQUIRED: dict[str, dict[str, Any]] = {
    "Crop": {"x_max": SIDE, "y_max": SIDE},
    "CropAndPad": {"px": [-3, 3]},
    "GridElasticDeform": {"num_grid_xy": [4, 4], "magnitude": 5},
    "RandomSizedCrop": {"min_max_height": [20, SIDE]},
}
SIZES: dict[str, dict[str, Any]] = {
    **{name: {"height": SIDE, "width": SIDE} for name in ("CenterCrop", "RandomCrop", "Resize")},
    **{name: {"size": (SIDE, SIDE)} for name in ("RandomResizedCrop", "RandomSizedCrop")},
    "PadIfNeeded": {"min_height": SIDE, "min_width": SIDE},
}


def make(name: str, probability: float = 1.0, side: int = SIDE, **arguments: Any) -> AlbumentationsTransform:
    known = TRANSFORMS.signatures()[name].parameters.values()  # a checked recipe has every default written in
    defaults = {it.name: it.default for it in known if it.default is not it.empty}
    given = {**defaults, **REQUIRED.get(name, {}), **arguments}
    return AlbumentationsTransform(image_size=side, transform=name, probability=probability, arguments=given)


def states() -> tuple[Any, ...]:
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


@pytest.mark.parametrize("name", NAMES)
def test_every_transform_is_the_librarys_own_and_draws_from_the_generator_alone(name: str) -> None:
    ours, before = make(name), states()
    found = ours(View(FACE, "foggy", 3), np.random.default_rng(7))
    assert (found.condition, found.severity, found.image.dtype) == ("foggy", 3, np.uint8)
    assert states() == before
    arguments = {**REQUIRED.get(name, {}), **SIZES.get(name, {})}
    theirs = albumentations.Compose([getattr(albumentations, name)(**arguments, p=1.0)])
    theirs.set_random_seed(int(np.random.default_rng(7).integers(2**31)))
    np.testing.assert_array_equal(found.image, theirs(image=FACE)["image"])


def test_every_name_of_the_library_can_be_named_or_is_refused_with_a_reason() -> None:
    theirs = {
        name
        for name, value in vars(albumentations).items()
        if isinstance(value, type) and issubclass(value, albumentations.BasicTransform | albumentations.BaseCompose)
    }
    assert theirs - {"BaseCompose"} == {*NAMES, *TRANSFORMS.refused}
    assert not set(NAMES) & set(TRANSFORMS.refused)


def test_arguments_reach_the_library() -> None:
    strong = make("ImageCompression", quality_range=[1, 2])(View(FACE), np.random.default_rng(0)).image
    weak = make("ImageCompression", quality_range=[99, 100])(View(FACE), np.random.default_rng(0)).image
    error = [np.abs(image.astype(int) - FACE).mean() for image in (weak, strong)]
    assert error[0] < 3 < 10 < error[1]


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("Blurr", {}, "unknown transform 'Blurr'. Did you mean \"Blur\"? There are: AdditiveNoise, AdvancedBlur, "),
        ("MaskDropout", {}, "transform 'MaskDropout' cannot be named in a recipe: it needs masks, which photos of "),
        (
            "Blur",
            {"blur_limit": "much"},
            "Blur of albumentations refuses them (blur_limit.tuple[int, int]: Input should be a valid tuple; "
            "blur_limit.int: Input should be a valid integer, unable to parse string as an integer; "
            "got blur_limit = 'much'). Change them.",
        ),
        ("Affine", {"rotate": float("nan")}, "must be finite numbers (got rotate = nan)."),
        ("Affine", {"scale": {"x": [0.5, float("inf")]}}, "must be finite numbers (got scale = {'x': [0.5, inf]})."),
        (
            "Rotate",
            {"limit": [20, 30], "crop_border": True},
            "Rotate of albumentations makes ",
        ),
        (
            "ToGray",
            {"num_output_channels": 1},
            "ToGray of albumentations makes 40 x 40 of a photo of 40 x 40 x 3, ",
        ),
        (
            "Crop",
            {"x_max": 80},
            "Crop of albumentations cannot work on a photo of 40 x 40 alone (ValueError: Values for crop should be ",
        ),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_made(name: str, arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(RecipeError) as caught:
        AlbumentationsTransform(image_size=SIDE, transform=name, arguments=arguments)
    assert str(caught.value).startswith(f"transform.albumentations: {problem}")
    assert "\n" not in str(caught.value)
    found = AlbumentationsTransform.size_refusals({"transform": name, "arguments": arguments}, SIDE)
    assert f"transform.albumentations: {found['arguments']}." == str(caught.value)
