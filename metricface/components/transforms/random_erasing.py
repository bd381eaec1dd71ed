"""Photos partly covered by noise."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from metricface.components.transforms._ranges import check_range
from metricface.contracts import View

Share = Annotated[float, Gt(0), Lt(1)]
Ratio = Annotated[float, Gt(0)]


class RandomErasing:
    """Put noise, uniform in every pixel and channel, over a rectangle at a random place that lies within the photo.

    Args:
        area: (low, high) share of the photo that is covered, uniform.
        ratio: (low, high) height / width of the rectangle.
        probability: of doing it.

    Raises:
        RecipeError: a range is the wrong way round.

    Source:
        Random Erasing, arXiv 1708.04896, algorithm 1 (its RE-R). Two deviations: the ratio is log-uniform, so that tall
        and wide are equally likely, as in torchvision; and a ratio too long for the photo becomes the longest that fits
        instead of a new draw of area and ratio, so that the area stays uniform. Albumentations' Erasing is not used: it
        draws the ratio uniformly and lowers the largest area to what fits at every ratio.
    """

    def __init__(
        self,
        *,
        area: tuple[Share, Share] = (0.02, 0.4),
        ratio: tuple[Ratio, Ratio] = (0.3, 1 / 0.3),
        probability: Annotated[float, Ge(0), Le(1)] = 0.5,
    ) -> None:
        check_range("random-erasing.area", *area)
        check_range("random-erasing.ratio", *ratio)
        self._area, self._ratio, self._probability = area, ratio, probability

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """Return the view, partly covered or not; condition and severity stay."""
        if rng.random() >= self._probability:
            return view
        height, width, channels = view.image.shape
        pixels = rng.uniform(*self._area) * height * width
        low, high = self._ratio
        ratio = math.exp(rng.uniform(math.log(low), math.log(high)))
        ratio = min(max(ratio, pixels / width**2), height**2 / pixels)
        rows = min(height, max(1, round(math.sqrt(pixels * ratio))))
        columns = min(width, max(1, round(math.sqrt(pixels / ratio))))
        top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
        image = view.image.copy()
        image[top : top + rows, left : left + columns] = rng.integers(0, 256, (rows, columns, channels), np.uint8)
        return View(image, view.condition, view.severity)
