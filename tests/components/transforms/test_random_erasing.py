"""Erasing: what is covered is one rectangle of the stated sizes, and what covers it is noise."""

from __future__ import annotations

import numpy as np
import pytest

from metricface.components.transforms.random_erasing import RandomErasing
from metricface.contracts import View
from metricface.errors import RecipeError

SIZE = 100
GREY = np.full((SIZE, SIZE, 3), 100, np.uint8)


def covered(erasing: RandomErasing, seed: int) -> tuple[slice, slice, np.ndarray]:
    """Rows, columns and pixels of what is no longer grey, after checking that it is a whole rectangle."""
    image = erasing(View(GREY), np.random.default_rng(seed)).image
    changed = (image != GREY).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    assert changed[box].all()
    assert changed.sum() == changed[box].size
    return *box, image[box]


def sizes(erasing: RandomErasing, seeds: int) -> np.ndarray:
    """(seeds, 4): top, left, height and width."""
    boxes = [covered(erasing, seed)[:2] for seed in range(seeds)]
    return np.array([(r.start, c.start, r.stop - r.start, c.stop - c.start) for r, c in boxes])


def test_area_and_ratio_are_spread_over_their_ranges_and_the_place_over_the_photo() -> None:
    top, left, height, width = sizes(RandomErasing(area=(0.05, 0.2), ratio=(0.5, 2.0), probability=1.0), 500).T
    area, ratio = height * width / SIZE**2, np.log2(height / width)
    assert 0.048 < area.min() < 0.055
    assert 0.195 < area.max() < 0.204
    assert np.histogram(area, bins=3, range=(0.048, 0.204))[0].min() > 130  # 167 expected
    assert np.abs(ratio).max() < 1.1
    assert np.histogram(ratio, bins=3, range=(-1, 1))[0].min() > 130
    for place, length in ((top, height), (left, width)):
        spread = place / (SIZE - length)
        assert spread.min() < 0.02
        assert spread.max() > 0.98
        assert spread.mean() == pytest.approx(0.5, abs=0.05)


def test_what_covers_is_uniform_noise_in_every_channel() -> None:
    noise = covered(RandomErasing(area=(0.4, 0.4), ratio=(1.0, 1.0), probability=1.0), 0)[2].reshape(-1, 3)
    assert np.abs(noise.mean(axis=0) - 127.5).max() < 4
    assert np.abs(noise.std(axis=0) - np.sqrt((256**2 - 1) / 12)).max() < 3
    assert np.abs(np.corrcoef(noise.T) - np.eye(3)).max() < 0.06
    assert (noise.min(), noise.max()) == (0, 255)


@pytest.mark.parametrize(("ratio", "side"), [((20.0, 30.0), 0), ((0.03, 0.05), 1)])
def test_a_ratio_that_does_not_fit_becomes_the_longest_that_does(ratio: tuple[float, float], side: int) -> None:
    lengths = sizes(RandomErasing(area=(0.3, 0.3), ratio=ratio, probability=1.0), 10)[:, 2:]
    assert set(lengths[:, side]) == {SIZE}
    assert set(lengths[:, 1 - side]) == {30}


def test_photos_that_are_not_square_and_very_small_areas() -> None:
    narrow = np.full((40, 10, 3), 100, np.uint8)
    for area in ((0.9, 0.99), (0.0001, 0.0001)):
        for seed in range(50):
            image = RandomErasing(area=area, probability=1.0)(View(narrow), np.random.default_rng(seed)).image
            assert (image != narrow).any()


@pytest.mark.parametrize("name", ["area", "ratio"])
def test_a_range_the_wrong_way_round_is_refused(name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        RandomErasing(**{name: (0.4, 0.1)})
    assert str(caught.value) == (
        f"transform.random-erasing.{name}: a range is [low, high] (got [0.4, 0.1]). Write [0.1, 0.4]."
    )
