"""Photos without colour."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from metricface.components.transforms._albumentation import Albumentation
from metricface.contracts import View


class Grey:
    """Show the photo in grey: three equal channels, the luma of ITU-R BT.601.

    Args:
        probability: of doing it.
    """

    def __init__(self, *, probability: Annotated[float, Ge(0), Le(1)] = 0.1) -> None:
        self._grey = Albumentation("ToGray", num_output_channels=3, method="weighted_average", p=probability)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """Return the view, in grey or not; condition and severity stay."""
        return self._grey(view, rng)
