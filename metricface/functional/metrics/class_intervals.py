"""Bootstrap intervals of class figures, over people or photos."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from metricface.functional.metrics.bootstrap import draws, existing, percentiles, resampled_sums
from metricface.functional.metrics.class_counts import (
    accuracy,
    balanced_accuracy,
    class_counts,
    f1,
    precision,
    ratio,
    recall,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Interval = tuple[float, float]


def decision_intervals(
    labels: Ints, predicted: Ints, classes: int, units: Ints, *, samples: int, seed: int
) -> dict[str, Interval]:
    """Return 95 % percentile intervals of the figures of decisions.

    Every sample draws as many units as there are, with replacement, each with all of its photos. Samples in which a
    figure does not exist (a class without photos, a precision of a class never predicted) are left out of it; a
    figure that exists in less than half of them has no interval.

    Args:
        labels: (N,) true classes.
        predicted: (N,) classes.
        classes: how many there are.
        units: (N,) dense numbers of the people, or of the photos where people are unknown.
        samples: how many the bootstrap draws.
        seed: of the draws.

    Returns:
        Intervals by figure: "accuracy", "balanced_accuracy", "precision", "recall" and "f1" (macro averages), and
        "precision.0", "recall.0", "f1.0" and so on of the classes.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13, with units as the sampling units.
    """
    photos = class_counts(labels, predicted, classes).reshape(len(labels), -1)
    sums = resampled_sums(photos, units, samples=samples, seed=seed).reshape(samples, 3, classes)
    by_class = {"precision": precision(sums), "recall": recall(sums), "f1": f1(sums)}
    return _intervals(
        {
            "accuracy": accuracy(sums),
            "balanced_accuracy": balanced_accuracy(sums),
            **{name: values.mean(axis=1) for name, values in by_class.items()},
            **{f"{name}.{c}": values[:, c] for name, values in by_class.items() for c in range(classes)},
        }
    )


def ranking_intervals(scores: Floats, positive: Bools, units: Ints, *, samples: int, seed: int) -> dict[str, Interval]:
    """Return 95 % percentile intervals of "auroc" and "average_precision".

    Args:
        scores: (N,) higher for the positive class; equal scores share their place.
        positive: (N,) whether the photo is of that class.
        units: (N,) dense numbers of the people, or of the photos where people are unknown.
        samples: how many the bootstrap draws.
        seed: of the draws.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits, unit = positive[order], units[order]
    parts = []
    for weights in draws(int(units.max()) + 1, samples=samples, seed=seed, width=len(scores)):
        times = weights[:, unit]  # (S, N), the most certain photo first
        true = np.cumsum(times * hits, axis=1)[:, last]
        false = np.cumsum(times * ~hits, axis=1)[:, last]
        parts.append((_auroc(true, false), _average_precision(true, false)))
    auroc, precision = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _intervals({"auroc": auroc, "average_precision": precision})


def _auroc(true: Floats, false: Floats) -> Floats:
    """Return the area under the ROC curve (S,) of accepted photos (S, thresholds), by the trapezoid rule."""
    before = np.pad(true, ((0, 0), (1, 0)))[:, :-1]
    steps = np.diff(false, axis=1, prepend=0)
    return ratio((steps * (true + before) / 2).sum(axis=1), true[:, -1] * false[:, -1])


def _average_precision(true: Floats, false: Floats) -> Floats:
    """Return the mean precision (S,) over the recall that each threshold adds; it exists where both classes do."""
    precision = np.nan_to_num(ratio(true, true + false))
    summed = (np.diff(true, axis=1, prepend=0) * precision).sum(axis=1)
    return np.where(false[:, -1] > 0, ratio(summed, true[:, -1]), np.nan)


def _intervals(figures: Mapping[str, Floats]) -> dict[str, Interval]:
    known = {name: existing(values) for name, values in figures.items()}
    return {name: percentiles(values) for name, values in known.items() if values is not None}
