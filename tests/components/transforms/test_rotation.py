"""Rotation against bilinear interpolation written out; the angle is read off a photo whose colours are coordinates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.task_b_tree import photo

from metricface.components.transforms.rotation import Rotation
from metricface.contracts import View

FACE = photo(3, 0)
SIZE = FACE.shape[0]
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE]
COORDINATES = np.stack([6 * COLUMNS, 6 * ROWS, 0 * ROWS], axis=-1).astype(np.uint8)


def angle_of(rotation: Rotation, seed: int) -> float:
    """The angle in radians, anticlockwise, by which the inner part of the coordinates was turned about the centre."""
    turned = rotation(View(COORDINATES), np.random.default_rng(seed)).image[10:30, 10:30, :2].reshape(-1, 2) / 6
    centre = (SIZE - 1) / 2
    places = np.stack([COLUMNS[10:30, 10:30].ravel(), ROWS[10:30, 10:30].ravel()], axis=1) - centre
    matrix, *_ = np.linalg.lstsq(places, turned - centre, rcond=None)
    angle = math.atan2(matrix[0, 1], matrix[0, 0])
    expected = [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    np.testing.assert_allclose(matrix, expected, atol=0.01)  # nothing but a rotation
    return angle


def turned_by_hand(image: np.ndarray, angle: float, border: str) -> np.ndarray:
    """The definition: each pixel is the bilinear mean of the four around the place that it comes from."""
    centre, result = (SIZE - 1) / 2, np.zeros(image.shape)
    for row in range(SIZE):
        for column in range(SIZE):
            x, y = column - centre, row - centre
            left = centre + math.cos(angle) * x - math.sin(angle) * y
            top = centre + math.sin(angle) * x + math.cos(angle) * y
            for r in (math.floor(top), math.floor(top) + 1):
                for c in (math.floor(left), math.floor(left) + 1):
                    inside = 0 <= r < SIZE and 0 <= c < SIZE
                    pixel = image[min(max(r, 0), SIZE - 1), min(max(c, 0), SIZE - 1)].astype(float)
                    shown = pixel if inside or border == "replicate" else 0
                    result[row, column] += (1 - abs(top - r)) * (1 - abs(left - c)) * shown
    return result


@pytest.mark.parametrize("border", ["replicate", "constant"])
@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_a_bilinear_rotation_about_the_centre(border: str, seed: int) -> None:
    rotation = Rotation(angle=math.pi / 6, border=border)
    angle = angle_of(rotation, seed)
    got = rotation(View(FACE), np.random.default_rng(seed)).image
    difference = np.abs(got - turned_by_hand(FACE, angle, border))
    assert difference.mean() < 0.5
    assert np.quantile(difference, 0.99) < 4  # the angle is read off 8-bit colours


def test_angles_are_radians_and_uniform_both_ways() -> None:
    angles = np.array([angle_of(Rotation(angle=math.pi / 18), seed) for seed in range(200)])
    bound = math.radians(10)
    assert np.abs(angles).max() <= bound + 0.003
    thirds = np.histogram(angles, bins=3, range=(-bound - 0.003, bound + 0.003))[0]
    assert min(thirds) > 45  # 67 expected


def test_the_border_is_replicated_or_black() -> None:
    grey = np.full((SIZE, SIZE, 3), 200, np.uint8)
    for border, darkest in (("replicate", 200), ("constant", 0)):
        corners = [
            Rotation(angle=math.pi / 4, border=border)(View(grey), np.random.default_rng(seed)).image[0, 0, 0]
            for seed in range(10)
        ]
        assert min(corners) == darkest
