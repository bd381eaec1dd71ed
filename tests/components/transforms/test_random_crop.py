"""Crops: the rectangle is read off a photo whose colours are coordinates, the resizing compared with torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.task_b_tree import photo

from metricface.components.transforms.random_crop import RandomCrop
from metricface.contracts import View
from metricface.errors import RecipeError

FACE = photo(3, 0)
SIZE = FACE.shape[0]
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE]
COORDINATES = np.stack([6 * COLUMNS, 6 * ROWS, 0 * ROWS], axis=-1).astype(np.uint8)


def rectangle(crop: RandomCrop, seed: int) -> tuple[int, int, int, int]:
    """Top, left, bottom and right (exclusive): bilinear resizing repeats the outermost pixels at the edges."""
    image = crop(View(COORDINATES), np.random.default_rng(seed)).image.astype(int)
    left, right = image[0, 0, 0] / 6, image[0, -1, 0] / 6 + 1
    top, bottom = image[0, 0, 1] / 6, image[-1, 0, 1] / 6 + 1
    return round(top), round(left), round(bottom), round(right)


@pytest.mark.parametrize("seed", range(4))
def test_the_rectangle_is_resized_to_the_whole(seed: int) -> None:
    crop = RandomCrop(image_size=SIZE, scale=(0.3, 0.9))
    top, left, bottom, right = rectangle(crop, seed)
    part = torch.from_numpy(FACE[top:bottom, left:right]).permute(2, 0, 1)[None].float()
    expected = F.interpolate(part, (SIZE, SIZE), mode="bilinear")[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(crop(View(FACE), np.random.default_rng(seed)).image, expected, atol=1.01)


def test_area_and_ratio_are_spread_over_their_ranges() -> None:
    crop = RandomCrop(image_size=SIZE, scale=(0.2, 0.6), ratio=(0.5, 2.0))
    boxes = np.array([rectangle(crop, seed) for seed in range(400)])
    height, width = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    area, ratio = height * width / SIZE**2, np.log2(width / height)
    assert 0.18 < area.min() < 0.23
    assert 0.57 < area.max() < 0.62
    assert area.mean() == pytest.approx(0.4, abs=0.02)
    assert np.abs(ratio).max() < 1.1  # whole pixels
    assert np.histogram(ratio, bins=3, range=(-1.1, 1.1))[0].min() > 90  # 133 expected, fewer at the rounded ends
    assert boxes[:, :2].min() == 0
    assert boxes[:, 2:].max() == SIZE
    assert len(np.unique(boxes[:, :2], axis=0)) > 200


def test_the_whole_photo_stays_as_it_is() -> None:
    crop = RandomCrop(image_size=SIZE, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    np.testing.assert_array_equal(crop(View(FACE), np.random.default_rng(0)).image, FACE)


def test_what_cannot_fit_is_cut_from_the_middle() -> None:
    top, left, bottom, right = rectangle(RandomCrop(image_size=SIZE, scale=(0.9, 1.0), ratio=(2.0, 2.5)), 0)
    assert (left, right) == (0, SIZE)
    assert bottom - top in (SIZE // 2, round(SIZE / 2.5))
    assert top == (SIZE - (bottom - top)) // 2


@pytest.mark.parametrize("name", ["scale", "ratio"])
def test_a_range_the_wrong_way_round_is_refused(name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        RandomCrop(image_size=SIZE, **{name: (0.9, 0.5)})
    assert str(caught.value) == (
        f"transform.random-crop.{name}: a range is [low, high] (got [0.9, 0.5]). Write [0.5, 0.9]."
    )
