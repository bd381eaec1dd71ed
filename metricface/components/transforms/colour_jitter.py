"""Photos in another light."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from metricface.components.transforms._albumentation import Albumentation
from metricface.contracts import View


class ColourJitter:
    """Change brightness, contrast, saturation and hue, one after the other in random order.

    Args:
        brightness, contrast, saturation: the factor of each is uniform in [max(0, 1 - x), 1 + x]. Brightness scales the
            photo, contrast moves it towards or from its mean grey, saturation towards or from its grey version.
        hue: the shift is uniform in [-hue, hue], where 1 is the whole circle of hues.
        probability: of doing it.

    Source:
        torchvision.transforms.ColorJitter, equal within rounding; hue within the 2 degrees of OpenCV's 8-bit HSV.
    """

    def __init__(
        self,
        *,
        brightness: Annotated[float, Ge(0)] = 0.2,
        contrast: Annotated[float, Ge(0)] = 0.2,
        saturation: Annotated[float, Ge(0)] = 0.2,
        hue: Annotated[float, Ge(0), Le(0.5)] = 0.0,
        probability: Annotated[float, Ge(0), Le(1)] = 1.0,
    ) -> None:
        amounts = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
        self._jitter = Albumentation("ColorJitter", **amounts, p=probability)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """Return the view, in another light or not; condition and severity stay."""
        return self._jitter(view, rng)
