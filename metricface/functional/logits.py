"""What the classification losses ask of their input."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor

from metricface.contracts import LossInput
from metricface.errors import DataError, RecipeError


def logits_and_targets(given: LossInput, *, loss: str, head: str) -> tuple[Tensor, Tensor]:
    """Return logits (B, C') and targets (B,) of the head.

    Args:
        given: what the loss got.
        loss: its name, for the error.
        head: lines of TOML for a head that would do.

    Raises:
        RecipeError: there is no head.
    """
    if given.logits is None or given.targets is None:
        raise RecipeError(f"loss {loss}: there are no logits. Add a [head], for instance {head}.")
    return given.logits, given.targets


def counts_of_all(class_counts: npt.NDArray[np.int64] | None, *, setting: str) -> npt.NDArray[np.float64]:
    """Return photos per class (C,), each above 0, for a setting that divides by them.

    Args:
        class_counts: (C,) photos of each class in the train split, or None when nobody passed them.
        setting: the loss and its parameter, for the error.

    Raises:
        RecipeError: there are no counts. DataError: a class has no photo (names it).
    """
    if class_counts is None:
        raise RecipeError(
            f"{setting} needs class_counts, the photos of each class in the train split (got none). "
            "Pass class_counts to the loss."
        )
    counts = np.asarray(class_counts, np.float64)
    if not counts.all():
        raise DataError(
            f"{setting} needs photos of every class (got none of class {int(counts.argmin())} of {len(counts)}). "
            "Add photos of it to the train split or take the class out."
        )
    return counts
