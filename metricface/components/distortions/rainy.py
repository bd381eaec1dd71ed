"""Rain between camera and face."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from metricface.components.distortions._fields import VALUES, Field, around, check, mix, side, tone

if TYPE_CHECKING:
    from metricface.contracts import Image

_DROPS = (60, 110, 170, 240, 320)  # streaks on a square photo
_OPACITY = (0.30, 0.38, 0.46, 0.54, 0.62)
_DIM = (0.94, 0.89, 0.84, 0.79, 0.74)  # what is left of the light
_STEEPEST = 0.45  # sideways drift of a drop per unit of fall
_SUBPIXEL = 4  # bits


class Rainy:
    """Light streaks of one slant and of two depths over a darker photo of less contrast."""

    def __call__(self, image: Image, severity: int, rng: np.random.Generator) -> Image:
        """Rain on uint8 (H, W, 3) with severity 1-5; DataError for anything else."""
        check(image, severity)
        slant = rng.uniform(-_STEEPEST, _STEEPEST)
        drops = around(_DROPS[severity - 1], rng)
        far = _streaks(image, round(0.7 * drops), 0.08, 0.004, slant, rng)
        near = _streaks(image, round(0.3 * drops), 0.16, 0.009, slant, rng)
        dim = _DIM[severity - 1]
        overcast = tone(image, dim * VALUES + 0.5 * (1 - dim) * 0.6)
        return mix(overcast, (214, 218, 222), _OPACITY[severity - 1] * np.maximum(0.7 * far, near, dtype=np.float32))


def _streaks(
    image: Image, count: int, length: float, thickness: float, slant: float, rng: np.random.Generator
) -> Field:
    """Return how much each pixel (H, W) is covered, in [0, 1]; lengths are fractions of the short side."""
    height, width = image.shape[:2]
    pixels = side(image)
    fall = length * pixels * rng.uniform(0.6, 1.4, (count, 1))
    start = rng.random((count, 2)) * (width, height + length * pixels) - (0, length * pixels)
    ends = np.stack([start, start + fall * (slant, 1)], axis=1)  # (count, 2 ends, x and y)
    canvas = np.zeros((height, width), np.uint8)
    thick = max(1, round(thickness * pixels))
    lines = list(np.rint(ends * 2**_SUBPIXEL).astype(np.int32))
    cv2.polylines(canvas, lines, False, 255, thick, cv2.LINE_AA, _SUBPIXEL)
    soft = cv2.GaussianBlur(canvas, (0, 0), max(0.3, 0.5 * thickness * pixels))
    return soft.astype(np.float32) / np.float32(255)
