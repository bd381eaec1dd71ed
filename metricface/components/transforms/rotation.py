"""Photos tilted a little."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le

from metricface.components.transforms._albumentation import Albumentation
from metricface.contracts import View

_BORDERS = {"constant": 0, "replicate": 1}  # OpenCV's BORDER_CONSTANT and BORDER_REPLICATE


class Rotation:
    """Turn the photo about its centre, with bilinear interpolation; the size stays and corners are cut off.

    Args:
        angle: radians; the rotation is uniform in [-angle, angle]. pi / 18 is 10 degrees.
        probability: of doing it.
        border: what shows where the photo does not reach: "replicate" its outermost pixels, "constant" black.
    """

    def __init__(
        self,
        *,
        angle: Annotated[float, Ge(0), Le(math.pi)] = math.pi / 18,
        probability: Annotated[float, Ge(0), Le(1)] = 1.0,
        border: Literal["replicate", "constant"] = "replicate",
    ) -> None:
        degrees = math.degrees(angle)
        limit, border_mode = (-degrees, degrees), _BORDERS[border]
        self._rotate = Albumentation("Rotate", limit=limit, border_mode=border_mode, fill=0, p=probability)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """Return the view, turned or not; condition and severity stay."""
        return self._rotate(view, rng)
