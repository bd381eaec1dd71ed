"""Every transform of torchvision that a recipe may name, against the library called directly."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from support.task_b_tree import photo
from torchvision.transforms import v2

from metricface.components.transforms.torchvision import TRANSFORMS, TorchvisionTransform
from metricface.contracts import View
from metricface.errors import RecipeError

FACE = photo(3, 0)
SIDE = FACE.shape[0]
NAMES = list(TRANSFORMS.signatures())
REQUIRED: dict[str, dict[str, Any]] = {
    "GaussianBlur": {"kernel_size": 5},
    "Grayscale": {"num_output_channels": 3},
    "JPEG": {"quality": [20, 60]},
    "Pad": {"padding": 0},
    "RandomAdjustSharpness": {"sharpness_factor": 2.0},
    "RandomAffine": {"degrees": 20.0},
    "RandomPosterize": {"bits": 2},
    "RandomRotation": {"degrees": [-20, 20]},
    "RandomSolarize": {"threshold": 100},
}
SIZED = ("CenterCrop", "RandomCrop", "RandomResizedCrop", "Resize")
WITH_P = ("RandomAdjustSharpness", "RandomAutocontrast", "RandomEqualize", "RandomErasing", "RandomGrayscale")
WITH_P += ("RandomHorizontalFlip", "RandomInvert", "RandomPerspective", "RandomPosterize", "RandomSolarize")
WITH_P += ("RandomVerticalFlip",)


def make(name: str, probability: float = 1.0, **arguments: Any) -> TorchvisionTransform:
    known = TRANSFORMS.signatures()[name].parameters.values()  # a checked recipe has every default written in
    defaults = {it.name: it.default for it in known if it.default is not it.empty}
    given = {**defaults, **REQUIRED.get(name, {}), **arguments}
    return TorchvisionTransform(image_size=SIDE, transform=name, probability=probability, arguments=given)


def states() -> tuple[Any, ...]:
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


@pytest.mark.parametrize("name", NAMES)
def test_every_transform_is_the_librarys_own_and_draws_from_the_generator_alone(name: str) -> None:
    ours, before = make(name), states()
    found = ours(View(FACE, "foggy", 3), np.random.default_rng(7))
    assert (found.condition, found.severity, found.image.dtype) == ("foggy", 3, np.uint8)
    assert states() == before
    sizes = {"size": (SIDE, SIDE)} if name in SIZED else {}
    theirs = getattr(v2, name)(**REQUIRED.get(name, {}), **sizes, **({"p": 1.0} if name in WITH_P else {}))
    rng = np.random.default_rng(7)
    rng.random()  # whether it happens
    torch.manual_seed(int(rng.integers(2**63)))
    expected = theirs(torch.from_numpy(FACE.copy()).permute(2, 0, 1).contiguous())
    np.testing.assert_array_equal(found.image, expected.permute(1, 2, 0).numpy())


def test_every_name_of_the_library_can_be_named_or_is_refused_with_a_reason() -> None:
    theirs = {name for name, value in vars(v2).items() if isinstance(value, type) and issubclass(value, v2.Transform)}
    assert theirs == {*NAMES, *TRANSFORMS.refused}
    assert not set(NAMES) & set(TRANSFORMS.refused)


def test_arguments_and_words_for_the_librarys_enumerations_reach_it() -> None:
    turned = make("RandomRotation", degrees=[90, 90], interpolation="bilinear")
    np.testing.assert_array_equal(turned(View(FACE), np.random.default_rng(0)).image, np.rot90(FACE))
    found = make("AutoAugment", policy="svhn")._transform.policy
    assert found is v2.AutoAugmentPolicy.SVHN


def test_the_chance_of_each_change_of_a_photometric_distortion_is_its_own() -> None:
    assert make("RandomPhotometricDistort", p=0.3)._transform.p == 0.3


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        (
            "RandomRotatio",
            {},
            "unknown transform 'RandomRotatio'. Did you mean \"RandomRotation\"? There are: AugMix, ",
        ),
        ("MixUp", {}, "transform 'MixUp' cannot be named in a recipe: it mixes photos of a batch with their labels"),
        (
            "RandomRotation",
            {"degrees": "far"},
            "RandomRotation of torchvision refuses them (ValueError: degrees should be a sequence of length 2.; "
            "got degrees = 'far'). Change them.",
        ),
        ("GaussianNoise", {"sigma": float("nan")}, "must be finite numbers (got sigma = nan)."),
        ("Grayscale", {}, "Grayscale of torchvision makes 40 x 40 x 1 of a photo of 40 x 40 x 3, and its size must "),
        ("Pad", {"padding": 4}, "Pad of torchvision makes 48 x 48 x 3 of a photo of 40 x 40 x 3, and its size must "),
        ("RandomRotation", {"degrees": [40, 50], "expand": True}, "RandomRotation of torchvision makes "),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_made(name: str, arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(RecipeError) as caught:
        TorchvisionTransform(image_size=SIDE, transform=name, arguments=arguments)
    assert str(caught.value).startswith(f"transform.torchvision: {problem}")
    found = TorchvisionTransform.size_refusals({"transform": name, "arguments": arguments}, SIDE)
    assert f"transform.torchvision: {found['arguments']}." == str(caught.value)
