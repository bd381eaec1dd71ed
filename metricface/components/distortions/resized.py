"""Too few pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from metricface.components.distortions._fields import around, check, side

if TYPE_CHECKING:
    from metricface.contracts import Image

_LEFT = (0.66, 0.50, 0.39, 0.31, 0.25)  # what is left of a short side of up to 112 pixels
_FULL = 112  # pixels; a larger photo loses its surplus first, so that it looks like a small one
_DOWN = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)
_UP = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


class Resized:
    """Shrunk to few pixels and enlarged again, each with a random interpolation, as small thumbnails are."""

    def __call__(self, image: Image, severity: int, rng: np.random.Generator) -> Image:
        """Coarsen uint8 (H, W, 3) with severity 1-5; DataError for anything else."""
        check(image, severity)
        height, width = image.shape[:2]
        scale = around(_LEFT[severity - 1], rng, spread=0.08) * min(1.0, _FULL / side(image))
        small = (max(1, round(width * scale)), max(1, round(height * scale)))
        down, up = _DOWN[rng.integers(len(_DOWN))], _UP[rng.integers(len(_UP))]
        shrunk = cv2.resize(image, small, interpolation=down)
        return np.asarray(cv2.resize(shrunk, (width, height), interpolation=up), dtype=np.uint8)
