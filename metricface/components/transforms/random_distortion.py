"""Distortions made while training, on clean photos only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le, MinLen

from metricface.contracts import CLEAN, Distortion, View

Severity = Annotated[int, Ge(1), Le(5)]


class RandomDistortion:
    """Show a clean photo under one bad condition, drawn anew each time; photos that are distorted already stay.

    Args:
        distortions: by name; each is as likely as the others.
        probability: of distorting a clean photo.
        severities: 1 (mild) to 5 (hard), each as likely as the others.
    """

    def __init__(
        self,
        *,
        distortions: Mapping[str, Distortion],
        probability: Annotated[float, Ge(0), Le(1)] = 0.5,
        severities: Annotated[tuple[Severity, ...], MinLen(1)] = (1, 2, 3, 4, 5),
    ) -> None:
        self.probability = probability
        self.severities = severities
        self.makes = tuple(distortions)
        self._distortions = dict(distortions)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """Return the view, or the distorted photo with the condition and severity that it now shows."""
        if view.condition != CLEAN or not self.makes or rng.random() >= self.probability:
            return view
        name = self.makes[rng.integers(len(self.makes))]
        severity = self.severities[rng.integers(len(self.severities))]
        return View(self._distortions[name](view.image, severity, rng), name, severity)
