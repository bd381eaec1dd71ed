"""Intervals that respect that the photos of one person are not independent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from metricface.errors import EvaluationError

_BLOCK = 2**20  # numbers drawn at once, so that memory does not grow with samples x people


def person_interval(
    hits: npt.NDArray[np.float64],
    persons: npt.NDArray[np.int64],
    *,
    samples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a mean over probes, resampling people and not probes.

    Every sample draws as many people as there are, with replacement, each with all of its probes; the figure of a
    sample is the sum of its hits over the number of its probes.

    Args:
        hits: (Q,) outcome of each probe, for instance 0 or 1.
        persons: (Q,) the person of each probe.
        samples: bootstrap samples.
        seed: of the draws.
        confidence: of the interval, a fraction in (0, 1).

    Returns:
        (low, high) in the unit of `hits`.

    Raises:
        EvaluationError: there is no probe.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentile interval), with people
        as the sampling units (cluster bootstrap).
    """
    if not len(hits):
        raise EvaluationError("bootstrap: no probe (got 0 outcomes). Leave the interval out and say why.")
    _, numbers = np.unique(persons, return_inverse=True)
    people = int(numbers.max()) + 1
    sums = np.bincount(numbers, weights=hits, minlength=people)
    counts = np.bincount(numbers, minlength=people)
    rng = np.random.default_rng(seed)
    figures = np.empty(samples)
    step = max(1, _BLOCK // people)
    for start in range(0, samples, step):
        block = figures[start : start + step]  # a view
        drawn = rng.integers(people, size=(len(block), people))
        block[:] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(figures, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
