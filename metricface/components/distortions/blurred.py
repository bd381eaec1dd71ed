"""Out of focus, or moved."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from metricface.components.distortions._fields import around, check, side

if TYPE_CHECKING:
    from metricface.contracts import Image

_SIGMA = (0.006, 0.010, 0.015, 0.021, 0.028)  # standard deviation as a fraction of the short side
_MOTION = 3.0  # length of a motion, in standard deviations of the defocus of the same severity


class Blurred:
    """Gaussian defocus or straight motion in a random direction, as likely."""

    def __call__(self, image: Image, severity: int, rng: np.random.Generator) -> Image:
        """Blur uint8 (H, W, 3) with severity 1-5; DataError for anything else."""
        check(image, severity)
        sigma = max(0.4, around(_SIGMA[severity - 1], rng) * side(image))
        if rng.random() < 0.5:
            return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.uint8)
        return _motion(image, length=_MOTION * sigma, angle=rng.uniform(0, math.pi))


def _motion(image: Image, length: float, angle: float) -> Image:
    """Average along a line of `length` pixels at `angle` radians.

    Each step averages the photo with itself moved by twice the last step, so that n steps make 2**n copies (a kernel
    of that length takes 7 ms at 250 pixels). The last and longest one goes back: the photo stays in its place.
    """
    height, width = image.shape[:2]
    steps = max(1, math.ceil(math.log2(length)))
    for step in range(steps):
        move = (1 if step < steps - 1 else -1) * length * 2.0 ** (step - steps)
        shift = np.array([[1, 0, move * math.cos(angle)], [0, 1, move * math.sin(angle)]], np.float32)
        moved = cv2.warpAffine(image, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
        image = np.asarray(cv2.addWeighted(image, 0.5, moved, 0.5, 0), dtype=np.uint8)
    return image
