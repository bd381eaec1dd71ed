"""What several distortions share: the check of the arguments, the size that strengths refer to, random fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from metricface.errors import DataError

if TYPE_CHECKING:
    from metricface.contracts import Image

Field = npt.NDArray[np.float32]  # (H, W) or (H, W, 3)

SMALLEST = 8  # pixels
_GRAINS = 112  # grains along the short side: noise then looks alike on a photo of 112 and of 1,000 pixels
_CLOUDS = 24


def check(image: Image, severity: int) -> None:
    """Refuse what no distortion can work on.

    Raises:
        DataError: the severity is not 1-5, or the photo is not uint8 (H, W, 3) of at least 8 x 8 pixels.
    """
    if severity not in (1, 2, 3, 4, 5):
        raise DataError(f"severity: must be 1, 2, 3, 4 or 5 (got {severity!r}).")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < SMALLEST:
        raise DataError(
            f"image: a distortion takes uint8 (H, W, 3) of at least {SMALLEST} x {SMALLEST} pixels "
            f"(got {image.dtype} {image.shape})."
        )


def side(image: Image) -> int:
    """Return the short side in pixels; lengths are given as fractions of it."""
    height, width, _ = image.shape
    return int(min(height, width))


def around(value: float, rng: np.random.Generator, spread: float = 0.12) -> float:
    """Return `value` up to `spread` larger or smaller, so that photos of one severity differ."""
    return float(value * rng.uniform(1 - spread, 1 + spread))


def grain(image: Image, channels: int, rng: np.random.Generator) -> Field:
    """Return normal noise of about unit variance, (H, W) for one channel and (H, W, 3) for three."""
    height, width = image.shape[:2]
    scale = min(1.0, _GRAINS / side(image))
    rows, columns = round(height * scale), round(width * scale)
    noise = rng.standard_normal((rows, columns, channels)[: 2 + (channels > 1)], dtype=np.float32)
    return _enlarge(noise, height, width)


def clouds(image: Image, rng: np.random.Generator) -> Field:
    """Return a smooth field (H, W) in [0, 1]: noise of three scales, each half as strong as the coarser one."""
    total = np.zeros((_CLOUDS, _CLOUDS), np.float32)
    for octave in range(3):
        cells = 3 * 2**octave
        total += _enlarge(rng.random((cells, cells), dtype=np.float32), _CLOUDS, _CLOUDS) / 2**octave
    total -= total.min()
    total /= total.max()
    return np.clip(_enlarge(total, *image.shape[:2]), 0, 1)


def _enlarge(field: Field, height: int, width: int) -> Field:
    if field.shape[:2] == (height, width):
        return field
    return np.asarray(cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def mix(image: Image, colour: tuple[float, float, float], amount: Field) -> Image:
    """Return `image` with `amount` (H, W), in [0, 1], of a colour (RGB, 0-255) in its place."""
    painted = np.empty_like(image)
    painted[:] = np.array(colour, np.uint8)
    return np.asarray(cv2.blendLinear(image, painted, 1 - amount, amount), dtype=np.uint8)


def tone(image: Image, curve: Field) -> Image:
    """Return `image` with each value v replaced by 255 * curve[v]; `curve` is (256,)."""
    return np.asarray(cv2.LUT(image, np.rint(255 * curve.clip(0, 1)).astype(np.uint8)), dtype=np.uint8)


VALUES: Field = np.linspace(0, 1, 256, dtype=np.float32)
