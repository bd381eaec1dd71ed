"""The adapter, against albumentations' own transforms called directly."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest
from support.task_b_tree import photo

from metricface.components.transforms._albumentation import Albumentation
from metricface.contracts import View

FACE = photo(3, 0)


def test_it_does_what_albumentations_does() -> None:
    done = Albumentation("VerticalFlip", p=1.0)(View(FACE, "foggy", 3), np.random.default_rng(0))
    np.testing.assert_array_equal(done.image, FACE[::-1])
    assert (done.condition, done.severity) == ("foggy", 3)


def test_the_generator_alone_decides() -> None:
    rotate = Albumentation("Affine", rotate=(-20, 20), p=1.0)
    globals_before = random.getstate(), np.random.get_state()[1].tolist()
    first, second, other = (rotate(View(FACE), np.random.default_rng(seed)).image for seed in (5, 5, 6))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == globals_before
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    again = Albumentation("Affine", rotate=(-20, 20), p=1.0)(View(FACE), np.random.default_rng(5)).image
    np.testing.assert_array_equal(first, again)


def test_one_generator_gives_a_new_draw_each_time() -> None:
    rng, noise = np.random.default_rng(0), Albumentation("GaussNoise", p=1.0)
    assert (noise(View(FACE), rng).image != noise(View(FACE), rng).image).any()


def test_the_photo_given_stays_as_it_is() -> None:
    given = FACE.copy()
    given.flags.writeable = False
    Albumentation("RandomBrightnessContrast", p=1.0)(View(given), np.random.default_rng(0))
    np.testing.assert_array_equal(given, FACE)


def test_a_misspelt_parameter_is_refused() -> None:
    with pytest.raises(UserWarning, match="rotat"):
        Albumentation("Affine", rotat=10)


def test_importing_the_module_does_not_load_albumentations() -> None:
    code = (
        "import os, sys, metricface.components.transforms.horizontal_flip as module\n"
        "assert 'albumentations' not in sys.modules and 'NO_ALBUMENTATIONS_UPDATE' not in os.environ\n"
        "module.HorizontalFlip()\n"
        "assert os.environ['NO_ALBUMENTATIONS_UPDATE'] == '1'\n"
    )
    environment = {"PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
