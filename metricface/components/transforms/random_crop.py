"""A part of the photo, scaled up to the whole."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le

from metricface.components.transforms._albumentation import Albumentation
from metricface.components.transforms._ranges import check_range
from metricface.contracts import View

Share = Annotated[float, Gt(0), Le(1)]
Ratio = Annotated[float, Gt(0)]


class RandomCrop:
    """Cut out a rectangle at a random place and resize it to the photo's size (bilinear).

    Args:
        image_size: side length of the photos, and of what comes out.
        scale: (low, high) share of the photo's area that is kept, uniform.
        ratio: (low, high) width / height of the rectangle, log-uniform. One that does not fit is drawn again; after ten
            tries the largest one of an allowed ratio is cut from the middle.
        probability: of doing it.

    Raises:
        RecipeError: a range is the wrong way round.

    Source:
        torchvision.transforms.RandomResizedCrop, with a milder default of `scale` than its 0.08: faces should stay.
    """

    def __init__(
        self,
        *,
        image_size: int,
        scale: tuple[Share, Share] = (0.7, 1.0),
        ratio: tuple[Ratio, Ratio] = (3 / 4, 4 / 3),
        probability: Annotated[float, Ge(0), Le(1)] = 1.0,
    ) -> None:
        check_range("random-crop.scale", *scale)
        check_range("random-crop.ratio", *ratio)
        size = (image_size, image_size)
        self._crop = Albumentation("RandomResizedCrop", size=size, scale=scale, ratio=ratio, p=probability)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """Return the view, cropped or not, image_size x image_size; condition and severity stay."""
        return self._crop(view, rng)
