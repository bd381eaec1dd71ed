"""Too little light."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from metricface.components.distortions._fields import VALUES, around, check, grain, tone

if TYPE_CHECKING:
    from metricface.contracts import Image

_GAIN = (0.70, 0.54, 0.42, 0.33, 0.26)
_GAMMA = (1.1, 1.15, 1.2, 1.25, 1.3)
_NOISE = (2.0, 3.0, 4.0, 5.0, 6.0)  # standard deviation of the sensor's noise, of 255


class Lowlight:
    """A darker exposure (gain and gamma) with the noise of a sensor that had little light."""

    def __call__(self, image: Image, severity: int, rng: np.random.Generator) -> Image:
        """Darken uint8 (H, W, 3) with severity 1-5; DataError for anything else."""
        check(image, severity)
        gain = around(_GAIN[severity - 1], rng, spread=0.08)
        dark = tone(image, gain * VALUES ** _GAMMA[severity - 1])
        noise = grain(image, 1, rng) * _NOISE[severity - 1]
        return np.asarray(cv2.add(dark, cv2.merge([noise] * 3), dtype=cv2.CV_8U), dtype=np.uint8)
