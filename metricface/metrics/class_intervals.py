"""Bootstrap intervals of class figures, over people or photos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Interval = tuple[float, float]

_BLOCK = 2**20  # numbers held at once, so that memory does not grow with samples x photos


def decision_intervals(
    labels: Ints, predicted: Ints, classes: int, units: Ints, *, samples: int, seed: int
) -> dict[str, Interval]:
    """Return 95 % percentile intervals of the figures of decisions.

    Every sample draws as many units as there are, with replacement, each with all of its photos. Samples in which a
    figure does not exist (a class without photos, a precision of a class never predicted) are left out of it; a
    figure that exists in less than half of them has no interval.

    Args:
        labels, predicted: (N,) classes.
        classes: how many there are.
        units: (N,) dense numbers of the people, or of the photos where people are unknown.
        samples, seed: of the bootstrap.

    Returns:
        Intervals by figure: "accuracy", "balanced_accuracy", "precision", "recall" and "f1" (macro averages), and
        "precision.0", "recall.0", "f1.0" and so on of the classes.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13, with units as the sampling units.
    """
    counts = np.zeros((units.max() + 1, 3, classes))
    right = labels == predicted
    np.add.at(counts[:, 0], (units[right], labels[right]), 1)
    np.add.at(counts[:, 1], (units, predicted), 1)
    np.add.at(counts[:, 2], (units, labels), 1)
    flat = counts.reshape(len(counts), -1)
    parts = [
        _figures(*np.moveaxis((weights @ flat).reshape(len(weights), 3, classes), 1, 0))
        for weights in _draws(len(counts), len(counts), samples, seed)
    ]
    return _intervals({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def ranking_intervals(scores: Floats, positive: Bools, units: Ints, *, samples: int, seed: int) -> dict[str, Interval]:
    """Return 95 % percentile intervals of "auroc" and "average_precision".

    Args:
        scores: (N,) higher for the positive class; equal scores share their place.
        positive: (N,) whether the photo is of that class.
        units, samples, seed: as in `decision_intervals`.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits, unit = positive[order], units[order]
    parts = []
    for weights in _draws(int(units.max()) + 1, len(scores), samples, seed):
        times = weights[:, unit]  # (S, N), the most certain photo first
        true = np.cumsum(times * hits, axis=1)[:, last]
        false = np.cumsum(times * ~hits, axis=1)[:, last]
        parts.append((_auroc(true, false), _average_precision(true, false)))
    auroc, precision = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _intervals({"auroc": auroc, "average_precision": precision})


def _draws(units: int, width: int, samples: int, seed: int) -> Iterator[Floats]:
    """Yield blocks (S, units): how often each sample has drawn each unit."""
    rng = np.random.default_rng(seed)
    step = max(1, _BLOCK // max(units, width))
    for start in range(0, samples, step):
        count = min(step, samples - start)
        places = rng.integers(units, size=(count, units)) + units * np.arange(count)[:, None]
        yield np.bincount(places.ravel(), minlength=count * units).reshape(count, units).astype(np.float64)


def _figures(right: Floats, predicted: Floats, actual: Floats) -> dict[str, Floats]:
    """Return the figures (S,) of counts (S, C), NaN where one does not exist."""
    by_class = {
        "precision": _ratio(right, predicted),
        "recall": _ratio(right, actual),
        "f1": np.where(actual > 0, _ratio(2 * right, actual + predicted), np.nan),
    }
    return {
        "accuracy": _ratio(right.sum(axis=1), actual.sum(axis=1)),
        "balanced_accuracy": by_class["recall"].mean(axis=1),
        **{name: values.mean(axis=1) for name, values in by_class.items()},
        **{f"{name}.{c}": values[:, c] for name, values in by_class.items() for c in range(right.shape[1])},
    }


def _auroc(true: Floats, false: Floats) -> Floats:
    """Return the area under the ROC curve (S,) of accepted photos (S, thresholds), by the trapezoid rule."""
    before = np.pad(true, ((0, 0), (1, 0)))[:, :-1]
    steps = np.diff(false, axis=1, prepend=0)
    return _ratio((steps * (true + before) / 2).sum(axis=1), true[:, -1] * false[:, -1])


def _average_precision(true: Floats, false: Floats) -> Floats:
    """Return the mean precision (S,) over the recall that each threshold adds; it exists where both classes do."""
    precision = np.nan_to_num(_ratio(true, true + false))
    summed = (np.diff(true, axis=1, prepend=0) * precision).sum(axis=1)
    return np.where(false[:, -1] > 0, _ratio(summed, true[:, -1]), np.nan)


def _ratio(above: Floats, below: Floats) -> Floats:
    found: Floats = np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0)
    return found


def _intervals(figures: Mapping[str, Floats]) -> dict[str, Interval]:
    found: dict[str, Interval] = {}
    for name, values in figures.items():
        known = values[~np.isnan(values)]
        if 2 * len(known) >= len(values):
            low, high = np.quantile(known, [0.025, 0.975])
            found[name] = (float(low), float(high))
    return found
