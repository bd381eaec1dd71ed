"""Intervals that respect that the photos of one person are not independent."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from metricface.errors import EvaluationError

_BLOCK = 2**20  # numbers drawn at once, so that memory does not grow with samples x people
_ROUNDING = 1e-12  # sums of thirds that cancel out are 0 up to this

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def person_interval(
    hits: Floats, persons: Ints, *, samples: int = 1000, seed: int = 0, confidence: float = 0.95
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
    sums = resampled_sums(np.stack([hits, np.ones(len(hits))], axis=1), persons, samples=samples, seed=seed)
    return percentiles(sums[:, 0] / sums[:, 1], confidence)


def paired_difference(resampled: Floats, *, confidence: float = 0.95) -> tuple[tuple[float, float], float]:
    """Return the interval of a difference between two figures, and how unlikely it would be if there were none.

    Args:
        resampled: (n,) the difference on each bootstrap sample. Both figures of a sample come from the same people (see
            `resampled_sums`), so that what makes a person hard for both models cancels out.
        confidence: of the interval, a fraction in (0, 1).

    Returns:
        ((low, high), p). The interval is the percentile one. p is two-sided: min(1, 2 (k + 1) / (n + 1)), where k of
        the n samples have a difference on the rarer side of 0, or of 0 itself; never 0, and the confidence at which
        the interval just reaches 0 is 1 - p, but for the one that is added.

    Source:
        Efron and Tibshirani, 1993, chapter 13; Davison and Hinkley, Bootstrap Methods and their Application, 1997,
        section 4.2 (one added to both counts).
    """
    rarer = min(int((resampled <= _ROUNDING).sum()), int((resampled >= -_ROUNDING).sum()))
    return percentiles(resampled, confidence), min(1.0, 2 * (rarer + 1) / (len(resampled) + 1))


def resampled_sums(statistics: Floats, persons: Ints, *, samples: int, seed: int) -> Floats:
    """Return the sums of K statistics over each bootstrap sample of people; any figure made of sums follows from it.

    Args:
        statistics: (Q, K) what each probe adds, for instance its hit and 1, or a cell of a confusion matrix.
        persons: (Q,) the person of each probe. The draws depend on their sorted order and not on that of the probes.
        samples: S, how many are drawn.
        seed: of the draws.

    Returns:
        (samples, K).

    Raises:
        EvaluationError: there is no probe.
    """
    if not len(statistics):
        raise EvaluationError("bootstrap: no probe (got 0 outcomes). Leave the interval out and say why.")
    _, numbers = np.unique(persons, return_inverse=True)
    people = int(numbers.max()) + 1
    by_person = np.zeros((people, statistics.shape[1]))
    np.add.at(by_person, numbers, statistics)
    # (S, people) @ (people, K) -> (S, K), block by block
    return np.concatenate([times @ by_person for times in draws(people, samples=samples, seed=seed)])


def draws(people: int, *, samples: int, seed: int, width: int = 0) -> Iterator[Floats]:
    """Yield, in blocks of samples (S, people), how often each sample has drawn each person.

    Args:
        people: how many there are, and how many a sample draws.
        samples: S, how many are drawn.
        seed: of the draws, which do not depend on how they fall into blocks.
        width: numbers that the caller holds for each sample, so that a block of them fits memory.
    """
    rng = np.random.default_rng(seed)
    step = max(1, _BLOCK // max(people, width))
    for start in range(0, samples, step):
        count = min(step, samples - start)
        places = rng.integers(people, size=(count, people)) + people * np.arange(count)[:, None]
        yield np.bincount(places.ravel(), minlength=count * people).reshape(count, people).astype(np.float64)


def existing(figures: Floats) -> Floats | None:
    """Return a figure (S',) on those of the samples (S,) where it exists, None where that is less than half of them.

    On a sample that has drawn no photo of some class, a figure of that class or over all classes is NaN: such samples
    are left out, here and nowhere else.
    """
    found = figures[~np.isnan(figures)]
    return found if 0 < len(figures) <= 2 * len(found) else None


def percentiles(figures: Floats, confidence: float = 0.95) -> tuple[float, float]:
    """Return the middle `confidence` of figures (S,), a fraction in (0, 1), as (low, high)."""
    low, high = np.quantile(figures, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
