"""The only door to albumentations."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from metricface.contracts import View


def library() -> Any:
    """Return the module, which is imported when it is first asked for."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks PyPI for a newer version when imported
    import albumentations

    return albumentations


class Albumentation:
    """A transform of albumentations as one of ours: uint8 photos, all randomness from the given generator.

    It is meant for changes that leave the condition as it is. One object is not for several threads at once:
    albumentations keeps its random state inside.

    Args:
        name: a class of albumentations 2.0.8, for instance "Affine".
        parameters: its constructor's, with its own names and units.

    Raises:
        UserWarning: albumentations does not know a parameter (it only warns, and would go on without it).
    """

    def __init__(self, name: str, **parameters: object) -> None:
        albumentations = library()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that another transform does the same, or does it faster
            warnings.filterwarnings("error", r"Argument\(s\)", UserWarning)
            self._compose = albumentations.Compose([getattr(albumentations, name)(**parameters)])

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """Return the transformed view, uint8 (H, W, 3); condition and severity stay."""
        self._compose.set_random_seed(int(rng.integers(2**31)))
        return View(self._compose(image=view.image)["image"], view.condition, view.severity)
