"""Against the sun."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricface.components.distortions._fields import VALUES, Field, around, check, mix, tone

if TYPE_CHECKING:
    from metricface.contracts import Image

_EXPOSURE = (1.15, 1.3, 1.45, 1.6, 1.75)
_VEIL = (0.05, 0.10, 0.15, 0.20, 0.25)  # how far black is lifted
_GLARE = (0.45, 0.55, 0.65, 0.75, 0.85)  # cover in the middle of the glare
_SPREAD = (0.16, 0.20, 0.24, 0.28, 0.32)  # standard deviation of the glare as a fraction of the short side
_SUNLIGHT = (255, 250, 232)


class Sunny:
    """Over-exposure, a veil that washes contrast out, and a glare in the upper half with a ghost opposite of it."""

    def __call__(self, image: Image, severity: int, rng: np.random.Generator) -> Image:
        """Over-expose uint8 (H, W, 3) with severity 1-5; DataError for anything else."""
        check(image, severity)
        exposure, veil = around(_EXPOSURE[severity - 1], rng, spread=0.04), _VEIL[severity - 1]
        bright = tone(image, veil + (1 - veil) * np.minimum(1, exposure * VALUES))
        across, down = rng.uniform(0.05, 0.95), rng.uniform(0, 0.45)
        spread = around(_SPREAD[severity - 1], rng)
        glare = _GLARE[severity - 1] * _spot(image, across, down, spread)
        ghost = 0.4 * _GLARE[severity - 1] * _spot(image, 1 - across, 1 - down, 0.3 * spread)
        return mix(bright, _SUNLIGHT, np.maximum(glare, ghost))


def _spot(image: Image, across: float, down: float, spread: float) -> Field:
    """Return a Gaussian bump (H, W) with peak 1 at a place given in fractions of width and height."""
    height, width = image.shape[:2]
    deviation = spread * min(height, width)
    x = (np.arange(width, dtype=np.float32) - across * width) / deviation
    y = (np.arange(height, dtype=np.float32) - down * height) / deviation
    return np.outer(np.exp(-(y**2) / 2), np.exp(-(x**2) / 2)).astype(np.float32)
