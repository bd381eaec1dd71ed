"""Colour jitter against torchvision's functional: for every photo made there is a factor that gives the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as peer
from support.task_b_tree import photo

from metricface.components.transforms.colour_jitter import ColourJitter
from metricface.contracts import View

FACE = photo(3, 0)[::3, ::3].copy() // 2 + 50  # no pixel near 0 or 255, where clipping would hide a factor
PIXELS = torch.from_numpy(FACE).permute(2, 0, 1)
OFF = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
CHANGES: dict[str, Callable[[torch.Tensor, float], torch.Tensor]] = {
    "brightness": peer.adjust_brightness,
    "contrast": peer.adjust_contrast,
    "saturation": peer.adjust_saturation,
    "hue": peer.adjust_hue,
}


def difference(image: np.ndarray, theirs: torch.Tensor) -> np.ndarray:
    return np.abs(image.astype(float) - theirs.permute(1, 2, 0).numpy())


def factor_of(name: str, image: np.ndarray, tried: np.ndarray) -> float:
    """The factor of torchvision's change that comes nearest; it must come very near."""
    errors = [difference(image, CHANGES[name](PIXELS, factor)).mean() for factor in tried]
    assert min(errors) < (2.5 if name == "hue" else 1.0)  # hue: 8-bit HSV has steps of 2 degrees
    return float(tried[np.argmin(errors)])


@pytest.mark.parametrize(
    ("name", "amount", "low", "high"),
    [
        ("brightness", 0.2, 0.8, 1.2),
        ("contrast", 0.2, 0.8, 1.2),
        ("saturation", 0.2, 0.8, 1.2),
        ("hue", 0.1, -0.1, 0.1),
    ],
)
def test_each_change_is_torchvisions_with_a_factor_uniform_in_the_range(name, amount, low, high) -> None:
    jitter = ColourJitter(**{**OFF, name: amount})
    tried = np.linspace(low - 0.1, high + 0.1, 121)
    images = [jitter(View(FACE), np.random.default_rng(seed)).image for seed in range(60)]
    factors = np.array([factor_of(name, image, tried) for image in images])
    slack = 0.02
    assert low - slack <= factors.min() < low + 0.1 * (high - low)
    assert high - 0.1 * (high - low) < factors.max() <= high + slack
    assert np.histogram(factors, bins=3, range=(low - slack, high + slack))[0].min() >= 10  # 20 expected


def test_brightness_contrast_and_saturation_follow_each_other() -> None:
    """Where nothing is clipped they amount to b * (c * (s * x + (1 - s) * grey) + (1 - c) * mean), in any order."""
    grey = FACE @ np.array([0.299, 0.587, 0.114])
    mean = grey.mean()
    known = np.stack([FACE.ravel(), np.repeat(grey.ravel(), 3), np.full(FACE.size, mean)], axis=1)
    found = []
    for seed in range(60):
        image = ColourJitter()(View(FACE), np.random.default_rng(seed)).image
        (of_photo, of_grey, of_mean), *_ = np.linalg.lstsq(known, image.ravel().astype(float), rcond=None)
        assert np.abs(known @ [of_photo, of_grey, of_mean] - image.ravel()).max() < 2
        brightness = of_photo + of_grey + of_mean
        found.append((brightness, (of_photo + of_grey) / brightness, of_photo / (of_photo + of_grey)))
    factors = np.array(found)  # brightness, contrast, saturation of each photo made
    assert np.abs(factors - 1).max() < 0.22
    assert (factors.min(axis=0) < 0.84).all()
    assert (factors.max(axis=0) > 1.16).all()
    assert np.abs(np.corrcoef(factors.T) - np.eye(3)).max() < 0.4  # drawn one by one


def test_nothing_to_change_changes_nothing() -> None:
    np.testing.assert_array_equal(ColourJitter(**OFF)(View(FACE), np.random.default_rng(0)).image, FACE)
