"""From probabilities to classes: the threshold, and who may be judged with which."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

Rule = Literal["f1", "balanced-accuracy", "recall"]

_ROUNDING = 1e-12


def decide(probabilities: Floats, threshold: float | Floats | None) -> Ints:
    """Return the class (N,) of each photo from probabilities (N, C).

    With two classes label 1 is taken where its probability is at least the threshold (one, or one per photo); with
    more, or None, the most probable class.
    """
    if threshold is None or probabilities.shape[1] != 2:
        most_probable: Ints = np.argmax(probabilities, axis=1)
        return most_probable
    return (probabilities[:, 1] >= threshold).astype(np.int64)


def fit_threshold(scores: Floats, positive: Bools, rule: Rule, recall: float = 1.0) -> float:
    """Return the threshold that serves a rule best on these photos.

    It lies half way between two scores. Of equally good ones it is the one nearest to 0.5, and for the rule "recall"
    the highest that reaches the recall.

    Args:
        scores: (N,) probabilities of the positive class; a photo is accepted at or above the threshold.
        positive: (N,) whether the photo is of that class; there are some of both.
        rule: the highest F1 of the positive class, the highest balanced accuracy, or a stated recall of the positive
            class.
        recall: wanted by the rule "recall", a fraction in (0, 1].
    """
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)  # of each run of equal scores
    true, accepted = np.cumsum(hits)[last], last + 1
    positives = int(positive.sum())
    thresholds = _half_way(ordered[last], np.append(ordered[last[1:]], 0.0))
    if rule == "recall":
        return float(thresholds[np.argmax(true / positives >= recall - _ROUNDING)])
    if rule == "f1":
        served = 2 * true / (positives + accepted)
    else:
        served = (true / positives + 1 - (accepted - true) / (len(scores) - positives)) / 2
    best = thresholds[served >= served.max() - _ROUNDING]
    return float(best[np.argmin(np.abs(best - 0.5))])


def deal_folds(units: Ints, labels: Ints, folds: int, seed: int) -> Ints:
    """Return the fold (N,) of each photo, all photos of a unit in one, and every class dealt out evenly.

    Args:
        units: (N,) dense numbers of the people, or of the photos where people are unknown.
        labels: (N,); a unit counts as its lowest.
        folds: how many at most; fewer when there are fewer units. A class with two units or more is in two folds.
        seed: of the shuffling before the deal. It does not depend on the order of the photos.
    """
    own = np.full(units.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(own, units, labels)
    shuffled = np.random.default_rng(seed).permutation(len(own))
    in_classes = shuffled[np.argsort(own[shuffled], kind="stable")]
    fold = np.empty(len(own), np.int64)
    fold[in_classes] = np.arange(len(own)) % min(folds, len(own))
    return fold[units]


def _half_way(upper: Floats, lower: Floats) -> Floats:
    """Return the middle, or `upper` where rounding would put the middle on `lower`: that one is not to be accepted."""
    middle = (upper + lower) / 2
    return np.where(middle > lower, middle, upper)
