"""Mirror images."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from metricface.components.transforms._albumentation import Albumentation
from metricface.contracts import View


class HorizontalFlip:
    """Mirror the photo left to right.

    Args:
        probability: of doing it.
    """

    def __init__(self, *, probability: Annotated[float, Ge(0), Le(1)] = 0.5) -> None:
        self._flip = Albumentation("HorizontalFlip", p=probability)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """Return the view or its mirror image; condition and severity stay."""
        return self._flip(view, rng)
