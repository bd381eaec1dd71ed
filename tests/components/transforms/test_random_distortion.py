"""Distortion while training: on clean photos only, as often as stated, and the view says what was done."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support.task_b_tree import RECIPE, write_recipe

from metricface.build.components import component
from metricface.components.registry import installed_registries
from metricface.components.transforms.random_distortion import RandomDistortion
from metricface.contracts import View
from metricface.recipe.load import load_recipe

PHOTO = np.full((10, 10, 3), 100, np.uint8)


class Add:
    """Brighten by an amount of its own plus the severity, so that the result tells who was called with what."""

    def __init__(self, amount: int) -> None:
        self.amount = amount

    def __call__(self, image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
        return image + np.uint8(self.amount + severity)


DISTORTIONS = {"rainy": Add(10), "foggy": Add(20)}


def test_the_view_says_which_distortion_and_severity_it_shows() -> None:
    transform, rng = RandomDistortion(distortions=DISTORTIONS, probability=1.0), np.random.default_rng(0)
    seen = Counter()
    for _ in range(500):
        view = transform(View(PHOTO), rng)
        assert view.image[0, 0, 0] == 100 + DISTORTIONS[view.condition].amount + view.severity
        seen[view.condition, view.severity] += 1
    assert set(seen) == {(name, severity) for name in DISTORTIONS for severity in range(1, 6)}
    assert min(seen.values()) > 25  # 50 expected of each


def test_photos_that_are_distorted_already_stay() -> None:
    transform = RandomDistortion(distortions=DISTORTIONS, probability=1.0)
    view = View(PHOTO, "lowlight", 0)
    assert transform(view, np.random.default_rng(0)) is view


def test_severities_can_be_limited() -> None:
    transform = RandomDistortion(distortions=DISTORTIONS, probability=1.0, severities=(2, 4))
    rng = np.random.default_rng(0)
    assert {transform(View(PHOTO), rng).severity for _ in range(50)} == {2, 4}


def test_one_seed_gives_one_view_and_makes_names_the_conditions() -> None:
    transform = RandomDistortion(distortions=DISTORTIONS)
    views = [[transform(View(PHOTO), np.random.default_rng(seed)) for seed in range(20)] for _ in range(2)]
    assert [(view.condition, view.severity) for view in views[0]] == [
        (view.condition, view.severity) for view in views[1]
    ]
    assert transform.makes == ("rainy", "foggy")


def test_without_distortions_nothing_is_done() -> None:
    view = View(PHOTO)
    assert RandomDistortion(distortions={}, probability=1.0)(view, np.random.default_rng(0)) is view


def test_a_recipe_chooses_distortions_severities_and_probability(tmp_path: Path) -> None:
    chosen = 'name = "random-distortion"\ndistortions = ["foggy", "noisy"]\nseverities = [1, 2]\nprobability = 0.5'
    text = RECIPE.replace('name = "horizontal-flip"', chosen)
    known = installed_registries()
    recipe = load_recipe(write_recipe(tmp_path, tmp_path, text), registries=known)
    transform = component(known, recipe.transforms[0])
    assert transform.makes == ("foggy", "noisy")
    rng, photo = np.random.default_rng(0), np.full((32, 32, 3), 100, np.uint8)
    seen = Counter((view.condition, view.severity) for view in (transform(View(photo), rng) for _ in range(400)))
    assert set(seen) == {("clean", 0), ("foggy", 1), ("foggy", 2), ("noisy", 1), ("noisy", 2)}
    assert seen["clean", 0] == pytest.approx(200, abs=35)
