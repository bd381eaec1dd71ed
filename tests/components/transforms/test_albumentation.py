"""The adapter, against albumentations' own transforms called directly."""

from __future__ import annotations

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


def test_one_generator_gives_a_new_draw_each_time() -> None:
    rng, noise = np.random.default_rng(0), Albumentation("GaussNoise", p=1.0)
    assert (noise(View(FACE), rng).image != noise(View(FACE), rng).image).any()


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
