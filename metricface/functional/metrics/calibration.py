"""Probabilities and how far they can be believed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metricface.errors import EvaluationError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

BINS = 15
_COLDEST, _HOTTEST = 0.01, 100.0
_HALVINGS = 60  # of a range of log-temperatures 9.2 wide: the rest is below rounding


@dataclass(frozen=True, slots=True)
class Reliability:
    """Photos by confidence, in equal-width bins (low, high] of [0, 1].

    Args:
        counts: (bins,) photos in each bin.
        confidence: (bins,) mean confidence of them, 0 in an empty bin.
        accuracy: (bins,) share of them that is right, 0 in an empty bin.
    """

    counts: Ints
    confidence: Floats
    accuracy: Floats

    @property
    def error(self) -> float:
        """The expected calibration error: mean over photos of |accuracy - confidence| of their bin."""
        gaps = np.abs(self.accuracy - self.confidence)
        return float((self.counts * gaps).sum() / self.counts.sum())


def reliability(confidence: Floats, right: Bools, bins: int = BINS) -> Reliability:
    """Sort predictions into bins of confidence.

    Args:
        confidence: (N,) probability of the most probable class.
        right: (N,) whether that is the photo's class.
        bins: of equal width.

    Raises:
        EvaluationError: there is no photo.

    Source:
        Guo et al., On Calibration of Modern Neural Networks, arXiv 1706.04599, equations 2 and 3.
    """
    if not len(confidence):
        raise EvaluationError("calibration: no photo (got 0 predictions). Leave the figure out and say why.")
    numbers = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(numbers, minlength=bins)
    photos = np.maximum(counts, 1)
    return Reliability(
        counts,
        np.bincount(numbers, weights=confidence, minlength=bins) / photos,
        np.bincount(numbers, weights=right, minlength=bins) / photos,
    )


def class_logits(logits: npt.NDArray[np.floating], classes: int) -> Floats:
    """Return one logit per class, (N, C) float64; a single logit is the log-odds of label 1 of two.

    Raises:
        EvaluationError: there are other logits than one per class.
    """
    if logits.shape[1] == 1 and classes == 2:
        return np.concatenate([np.zeros_like(logits), logits], axis=1).astype(np.float64)
    if logits.shape[1] != classes:
        raise EvaluationError(
            f"classification: the head gives {logits.shape[1]} logits for {classes} classes. Use a head with one logit "
            "per class, or one in all for two classes."
        )
    return logits.astype(np.float64)


def probabilities(logits: Floats, temperature: float | Floats = 1.0) -> Floats:
    """Return softmax(logits / temperature), (N, C) of (N, C); a temperature may be one per photo, (N,)."""
    scaled = logits / np.reshape(temperature, (-1, 1))
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    found: Floats = powers / powers.sum(axis=1, keepdims=True)
    return found


def log_odds(logits: Floats, chosen: Ints) -> Floats:
    """Return the log-odds (N,) of one class of each photo, `chosen` (N,), from logits (N, C)."""
    rows = np.arange(len(logits))
    others = logits.copy()
    others[rows, chosen] = -np.inf
    highest = others.max(axis=1)
    found: Floats = logits[rows, chosen] - highest - np.log(np.exp(others - highest[:, None]).sum(axis=1))
    return found


def fit_temperature(logits: Floats, labels: Ints) -> float | None:
    """Return the temperature under which the labels are most likely, or None where none is finite and best.

    That is so when every photo is judged right, for the likelihood then grows without end as the temperature falls,
    and when the logits say no more of the labels than chance.

    Args:
        logits: (N, C).
        labels: (N,) below C.

    Returns:
        A temperature from 0.01 to 100; the logits are to be divided by it.

    Source:
        Guo et al., arXiv 1706.04599, section 4.2. The likelihood is concave in 1 / temperature, so halving finds the
        best one and no optimizer is needed.
    """
    own = logits[np.arange(len(labels)), labels]
    if not (logits.max(axis=1) > own).any() or _slope(logits, own, 0.0) >= 0:
        return None
    low, high = np.log(1 / _HOTTEST), np.log(1 / _COLDEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _slope(logits, own, float(np.exp(middle))) < 0:
            low = middle
        else:
            high = middle
    return float(np.exp(-(low + high) / 2))


def _slope(logits: Floats, own: Floats, inverse: float) -> float:
    """Return the derivative of the mean negative log-likelihood by the inverse temperature."""
    expected = (probabilities(logits * inverse) * logits).sum(axis=1)
    return float((expected - own).mean())
