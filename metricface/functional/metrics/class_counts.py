"""Figures of classification from counts per class, many at once: a bootstrap recomputes them on every sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def class_counts(labels: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: int) -> Floats:
    """Return (N, 3, C): of each photo whether it is a hit of, belongs to, and is predicted as each class.

    Sums over photos are what the other functions take.

    Args:
        labels: (N,) true classes, numbers below `classes`.
        predicted: (N,) numbers below `classes`.
        classes: C.
    """
    one_hot = np.eye(classes)
    belongs, guessed = one_hot[labels], one_hot[predicted]
    return np.stack([belongs * guessed, belongs, guessed], axis=1)


def accuracy(counts: Floats) -> Floats:
    """Return the share of right predictions (...) of counts (..., 3, C), NaN without a photo."""
    return ratio(counts[..., 0, :].sum(axis=-1), counts[..., 1, :].sum(axis=-1))


def balanced_accuracy(counts: Floats) -> Floats:
    """Return the mean recall (...) of counts (..., 3, C), NaN where a class has no photo."""
    mean: Floats = recall(counts).mean(axis=-1)
    return mean


def recall(counts: Floats) -> Floats:
    """Return the recall of every class (..., C) of counts (..., 3, C), NaN for a class without a photo."""
    return ratio(counts[..., 0, :], counts[..., 1, :])


def precision(counts: Floats) -> Floats:
    """Return the precision of every class (..., C) of counts (..., 3, C), NaN for a class that is never predicted."""
    return ratio(counts[..., 0, :], counts[..., 2, :])


def f1(counts: Floats) -> Floats:
    """Return F1 of every class (..., C) of counts (..., 3, C), NaN for a class without a photo."""
    hits, photos, predicted = counts[..., 0, :], counts[..., 1, :], counts[..., 2, :]
    return np.where(photos > 0, ratio(2 * hits, photos + predicted), np.nan)


def ratio(above: Floats, below: Floats) -> Floats:
    """Return above / below, NaN where below is 0."""
    found: Floats = np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0)
    return found
