"""Accuracy of verification over folds, with the threshold from the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metricface.errors import EvaluationError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FoldAccuracy:
    """Accuracy of each fold (F,), and the threshold (F,) that it was judged with."""

    accuracies: Floats
    thresholds: Floats

    @property
    def mean(self) -> float:
        """Mean accuracy of the folds."""
        return float(self.accuracies.mean())

    @property
    def standard_error(self) -> float:
        """Standard deviation (n - 1) of the folds over the root of their number."""
        return float(self.accuracies.std(ddof=1) / np.sqrt(len(self.accuracies)))


def fold_accuracy(
    scores: npt.NDArray[np.floating],
    genuine: npt.NDArray[np.bool_],
    folds: npt.NDArray[np.int64],
    thresholds: npt.NDArray[np.floating] | None = None,
) -> FoldAccuracy:
    """Return the accuracy of each fold at the threshold that is best on all others.

    Args:
        scores: (P,) of pairs; accepted where at least the threshold.
        genuine: (P,) whether a pair is of one person.
        folds: (P,) the fold of each; any numbers.
        thresholds: (T,) to choose from; the first of equally good ones is taken. Every score of the other folds, from
            the highest down, when absent.

    Raises:
        EvaluationError: there are fewer than two folds, or a score is not finite.

    Source:
        Huang et al., Labeled Faces in the Wild, UMass Amherst 07-49, 2007 (View 2: mean and standard error over ten
        folds, parameters from the other nine).

    >>> scores, genuine = np.array([0.9, 0.1, 0.8, 0.85]), np.array([True, False, True, False])
    >>> fold_accuracy(scores, genuine, np.array([0, 0, 1, 1])).accuracies.tolist()
    [1.0, 0.5]
    """
    numbers, own = np.unique(folds, return_inverse=True)
    if len(numbers) < 2:
        raise EvaluationError(f"verification: folds are two or more (got {len(numbers)}). Leave them out for one set.")
    if not np.isfinite(scores).all():
        raise EvaluationError("verification: a score is not finite.")
    accuracies, chosen = np.empty(len(numbers)), np.empty(len(numbers))
    for number in range(len(numbers)):
        fold = own == number
        candidates = np.unique(scores[~fold])[::-1] if thresholds is None else thresholds
        right = _right(scores[~fold], genuine[~fold], candidates)
        chosen[number] = candidates[int(right.argmax())]
        accuracies[number] = np.mean((scores[fold] >= candidates[int(right.argmax())]) == genuine[fold])
    return FoldAccuracy(accuracies, chosen)


def _right(
    scores: npt.NDArray[np.floating], genuine: npt.NDArray[np.bool_], thresholds: npt.NDArray[np.floating]
) -> npt.NDArray[np.int64]:
    """Return how many pairs are judged right at each threshold (T,)."""
    same, others = np.sort(scores[genuine]), np.sort(scores[~genuine])
    accepted = len(same) - np.searchsorted(same, thresholds, side="left")
    return accepted + np.searchsorted(others, thresholds, side="left")
