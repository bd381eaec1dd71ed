"""A noisy sensor or transmission."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from metricface.components.distortions._fields import VALUES, around, check, grain

if TYPE_CHECKING:
    from metricface.contracts import Image

_SIGMA = (8.0, 15.0, 22.0, 30.0, 39.0)  # standard deviation on mid grey, of 255
_SPECKS = (0.0, 0.0, 0.0, 0.004, 0.01)  # share of pixels that are dead or hot


class Noisy:
    """Coloured noise that grows with brightness (read and shot noise), dead and hot pixels from severity 4."""

    def __call__(self, image: Image, severity: int, rng: np.random.Generator) -> Image:
        """Add noise to uint8 (H, W, 3) with severity 1-5; DataError for anything else."""
        check(image, severity)
        sigma = around(_SIGMA[severity - 1], rng)
        by_value = sigma * np.sqrt(0.5 + VALUES)  # variance: half read noise, half shot noise at mid grey
        noise = cv2.multiply(grain(image, 3, rng), by_value[image])
        noisy = np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), dtype=np.uint8)
        height, width = image.shape[:2]
        specks = round(_SPECKS[severity - 1] * height * width)
        places = rng.integers(height * width, size=specks)
        noisy.reshape(-1, 3)[places] = rng.choice(np.array([[0], [255]], np.uint8), size=specks)
        return noisy
