"""Intervals of error rates over pairs, which are not independent: they share people."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from metricface.errors import EvaluationError

Ints = npt.NDArray[np.int64]


def pair_interval(
    errors: npt.NDArray[np.bool_], first: Ints, second: Ints, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the interval of the share of pairs with an error, as people and not pairs vary.

    Two pairs depend on each other when a person is in both, on either side: the variance sums what such pairs have in
    common. Without an error, or with nothing else, it is the rule of three for as many trials as pairs can be found
    that share nobody: people, or half of them where a pair takes two.

    Args:
        errors: (P,) whether a pair was judged wrong (or right, for a share of right ones).
        first: (P,) a person of each pair.
        second: (P,) the other one; the same number again for a genuine pair.
        confidence: of the interval, a fraction in (0, 1); the rule of three is that of 0.95.

    Returns:
        (low, high) shares.

    Raises:
        EvaluationError: there is no pair.

    Source:
        Aronow, Samii and Assenova, Cluster-Robust Variance Estimation for Dyadic Data, Political Analysis 23(4), 2015;
        Wilson's interval with the number of pairs that the variance is worth as in Fogliato, Patil and Perona,
        Confidence Intervals for Error Rates in 1:1 Matching Tasks, IJCV 2024.
    """
    if not len(errors):
        raise EvaluationError("interval: no pair. Leave the interval out and say why.")
    names, numbers = np.unique(np.concatenate([first, second]), return_inverse=True)
    one, other = numbers[: len(first)], numbers[len(first) :]
    rate = float(errors.mean())
    if rate in (0.0, 1.0):
        trials = min(len(errors), len(names) // 2 if np.any(one != other) else len(names))
        bound = min(1.0, 3 / max(trials, 1))
        return (0.0, bound) if rate == 0 else (1 - bound, 1.0)
    variance = dyadic_variance(errors.astype(np.float64) - rate, one, other, len(names))
    worth = rate * (1 - rate) / max(variance, rate * (1 - rate) / len(errors))
    return wilson(rate, worth, confidence)


def dyadic_variance(residuals: npt.NDArray[np.float64], one: Ints, other: Ints, people: int) -> float:
    """Return the variance of a mean over pairs: the products of the residuals of all pairs that share a person.

    Args:
        residuals: (P,) of the mean.
        one: (P,) numbers of people below `people`.
        other: (P,) the same of the other side.
        people: how many there are.
    """
    two = one != other
    by_person = np.bincount(one, residuals, people) + np.bincount(other[two], residuals[two], people)
    low, high = np.minimum(one, other)[two], np.maximum(one, other)[two]
    dyads = np.bincount(np.unique(low * people + high, return_inverse=True)[1], residuals[two])
    shared = float((by_person**2).sum() - (dyads**2).sum())  # pairs of the same two people were counted twice
    return shared / len(residuals) ** 2 * people / max(people - 1, 1)


def wilson(rate: float, trials: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval of a share that was seen in so many independent trials, a fraction of one too.

    Source:
        Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 22, 1927.

    >>> low, high = wilson(0.5, 100)
    >>> round(low, 4), round(high, 4)
    (0.4038, 0.5962)
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    return max(0.0, centre - half), min(1.0, centre + half)
