"""Fog between camera and face."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from metricface.components.distortions._fields import around, check, clouds, mix, side

if TYPE_CHECKING:
    from metricface.contracts import Image

_HAZE = (0.22, 0.36, 0.50, 0.62, 0.72)  # share of the light that comes from the fog, on average
_BANKS = 0.3  # how much thicker or thinner the fog is in places, as a share of the above
_SCATTER = 0.008  # blur at full haze as a fraction of the short side


class Foggy:
    """Light grey haze of uneven thickness: contrast goes, and a little sharpness."""

    def __call__(self, image: Image, severity: int, rng: np.random.Generator) -> Image:
        """Fog over uint8 (H, W, 3) with severity 1-5; DataError for anything else."""
        check(image, severity)
        haze = around(_HAZE[severity - 1], rng, spread=0.05)
        grey = rng.uniform(205, 235)
        blurred = cv2.GaussianBlur(image, (0, 0), max(0.1, _SCATTER * haze * side(image)))
        amount = haze * (1 + _BANKS * (2 * clouds(image, rng) - 1))
        return mix(np.asarray(blurred, dtype=np.uint8), (grey, grey, min(255, grey + 4)), amount)
