"""What every transform of this package keeps to: a new one is tested by being registered."""

from __future__ import annotations

import inspect
import random

import numpy as np
import pytest
from support.task_b_tree import photo

from metricface.components.registry import Registry
from metricface.contracts import KINDS, Transform, View

REGISTRY = Registry(KINDS["transform"])
NAMES = [entry.name for entry in REGISTRY.entries() if entry.distribution == "metricface"]
FACE = photo(3, 0)
FACE.flags.writeable = False  # as in the loader's cache

every_transform = pytest.mark.parametrize("name", NAMES)


CHOSEN = {"albumentations": "GaussNoise", "torchvision": "RandomPerspective"}  # that change a photo at every draw


class Invert:
    def __call__(self, image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
        return 255 - image


def transform(name: str, **options: object) -> Transform:
    """Make a transform as build does; it always acts where it may choose, unless `options` say otherwise."""
    offered = {
        "image_size": FACE.shape[0],
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "distortions": {"foggy": Invert()},
        "probability": 1.0,
        "transform": CHOSEN.get(name),
        **options,
    }
    component = REGISTRY.load(name)
    asked = inspect.signature(component).parameters
    return component(**{key: value for key, value in offered.items() if key in asked})


def test_there_are_transforms_to_test() -> None:
    assert "horizontal-flip" in NAMES


@every_transform
def test_size_and_type_stay_and_the_photo_given_is_not_touched(name: str) -> None:
    acts, before = transform(name), FACE.copy()
    images = [acts(View(FACE), np.random.default_rng(seed)).image for seed in range(20)]
    assert {(image.shape, image.dtype) for image in images} == {(FACE.shape, np.dtype(np.uint8))}
    assert any((image != FACE).any() for image in images)
    np.testing.assert_array_equal(FACE, before)


@every_transform
def test_the_condition_stays_unless_it_is_the_transforms_to_change(name: str) -> None:
    acts = transform(name)
    views = [acts(View(FACE, "rainy", 2), np.random.default_rng(seed)) for seed in range(5)]
    assert {(view.condition, view.severity) for view in views} == {("rainy", 2)}
    made = {acts(View(FACE), np.random.default_rng(seed)).condition for seed in range(5)}
    assert made <= {"clean", *getattr(acts, "makes", ())}


@every_transform
def test_the_generator_alone_decides(name: str) -> None:
    before = random.getstate(), np.random.get_state()[1].tolist()
    first, again = (transform(name)(View(FACE), np.random.default_rng(7)).image for _ in range(2))
    acts = transform(name)
    acts(View(FACE), np.random.default_rng(8))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(acts(View(FACE), np.random.default_rng(7)).image, first)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


@every_transform
def test_it_happens_as_often_as_stated(name: str) -> None:
    if "probability" not in inspect.signature(REGISTRY.load(name)).parameters:
        pytest.skip("it always happens")
    rng = np.random.default_rng(0)
    never, sometimes = transform(name, probability=0.0), transform(name, probability=0.3)
    assert all((never(View(FACE), rng).image == FACE).all() for _ in range(50))
    share = np.mean([(sometimes(View(FACE), rng).image != FACE).any() for _ in range(1500)])
    assert share == pytest.approx(0.3, abs=0.04)  # about three standard deviations
