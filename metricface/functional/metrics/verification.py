"""Verification: error rates of genuine and impostor pairs at every threshold, and the figures that follow from them.

A pair is accepted where its score is at least the threshold; higher is more similar. FMR (false match rate) and FAR are
one rate here, and so are FNMR and 1 - TAR: nobody fails to enrol.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metricface.errors import EvaluationError, counted

STEPS = 2**16
"""Thresholds of `ScoreCounts` to each 1 of cosine."""

_EDGE = STEPS + 1  # cosines reach 1 and a little more by rounding

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ErrorCurve:
    """How many pairs are accepted at each threshold.

    Args:
        thresholds: (T,) float64, falling; at the first one nothing is accepted, at the last one everything.
        true_accepts: (T,) genuine pairs with a score of the threshold or more.
        false_accepts: (T,) impostor pairs with one.
    """

    thresholds: npt.NDArray[np.float64]
    true_accepts: Ints
    false_accepts: Ints

    @property
    def genuine(self) -> int:
        """How many genuine pairs there are."""
        return int(self.true_accepts[-1])

    @property
    def impostor(self) -> int:
        """How many impostor pairs there are."""
        return int(self.false_accepts[-1])

    @property
    def tar(self) -> npt.NDArray[np.float64]:
        """The true accept rate (T,), which is 1 - FNMR."""
        return self.true_accepts / self.genuine

    @property
    def far(self) -> npt.NDArray[np.float64]:
        """The false accept rate (T,), which is FMR."""
        return self.false_accepts / self.impostor


@dataclass(frozen=True, slots=True)
class AcceptRates:
    """What a threshold reaches: the share of genuine pairs accepted (TAR) and that of impostor pairs (FAR)."""

    threshold: float
    tar: float
    far: float


def error_curve(genuine: Floats, impostor: Floats) -> ErrorCurve:
    """Return the curve with every score as a threshold.

    Args:
        genuine: (P,) scores of pairs of one person.
        impostor: (P',) scores of pairs of two people.

    Raises:
        EvaluationError: there is no pair of a kind, or a score is not finite.

    >>> curve = error_curve(np.array([0.9, 0.4]), np.array([0.4, 0.1]))
    >>> curve.thresholds[1:].tolist(), curve.true_accepts.tolist(), curve.false_accepts.tolist()
    ([0.9, 0.4, 0.1], [0, 1, 2, 2], [0, 0, 1, 2])
    """
    for kind, scores in (("genuine", genuine), ("impostor", impostor)):
        _check_pairs(kind, len(scores))
        if bad := int((~np.isfinite(scores)).sum()):
            raise EvaluationError(f"verification: {counted(bad, f'{kind} score is', f'{kind} scores are')} not finite.")
    scores = np.concatenate([genuine, impostor]).astype(np.float64)
    thresholds = np.unique(scores)[::-1]
    above = np.nextafter(thresholds[0], np.inf)
    accepts = [
        np.concatenate([[0], len(own) - np.searchsorted(np.sort(own).astype(np.float64), thresholds, side="left")])
        for own in (genuine, impostor)
    ]
    return ErrorCurve(np.concatenate([[above], thresholds]), accepts[0], accepts[1])


class ScoreCounts:
    """Cosines of pairs, counted between thresholds 1 / STEPS apart: many pairs in little memory.

    Rates at these thresholds are exact, since a float times a power of two is; others are not looked at.
    """

    def __init__(self) -> None:
        self._counts = np.zeros((2, 2 * _EDGE + 1), np.int64)
        self._moments = np.zeros((2, 2))  # sum and sum of squares of each kind

    def add(self, scores: Floats, *, genuine: bool) -> None:
        """Count the cosines of pairs of one kind, of any shape.

        Raises:
            EvaluationError: one is not between -1 and 1.
        """
        places = np.floor(scores.ravel() * np.float32(STEPS))
        if not (np.abs(places) <= _EDGE).all():
            raise EvaluationError("verification: a cosine is not between -1 and 1. Embeddings must be of length 1.")
        kind = 0 if genuine else 1
        self._counts[kind] += np.bincount(places.astype(np.int32) + _EDGE, minlength=2 * _EDGE + 1)
        flat = scores.ravel()
        self._moments[kind] += flat.sum(dtype=np.float64), np.dot(flat, flat)

    def curve(self) -> ErrorCurve:
        """Return the curve with a threshold wherever the counts change.

        Raises:
            EvaluationError: there is no pair of a kind.
        """
        for kind, counts in zip(("genuine", "impostor"), self._counts, strict=True):
            _check_pairs(kind, int(counts.sum()))
        accepts = np.cumsum(self._counts[:, ::-1], axis=1)
        thresholds = np.arange(_EDGE, -_EDGE - 1, -1) / STEPS
        used = np.flatnonzero(self._counts.sum(axis=0)[::-1])
        used = np.concatenate([[used[0] - 1], used])
        return ErrorCurve(thresholds[used], accepts[0, used], accepts[1, used])

    def d_prime(self) -> float | None:
        """Return what `d_prime` gives of all scores."""
        n = self._counts.sum(axis=1)
        mean = self._moments[:, 0] / n
        return _separation(mean, np.maximum(self._moments[:, 1] / n - mean**2, 0))


def tar_at_far(curve: ErrorCurve, far: float) -> AcceptRates:
    """Return the rates at the lowest threshold whose false accept rate does not exceed `far`.

    Args:
        curve: of the pairs.
        far: wanted false accept rate, a fraction in (0, 1), for instance 1e-4.

    Returns:
        AcceptRates: its `far` is the rate reached, never above the one wanted.

    Raises:
        EvaluationError: `far` is below 1 / impostor pairs, so the data cannot resolve it.

    Source:
        ISO/IEC 19795-1 (TAR = 1 - FNMR at FMR = far).

    >>> tar_at_far(error_curve(np.array([0.9, 0.4]), np.array([0.5, 0.1])), 0.5)
    AcceptRates(threshold=0.4, tar=1.0, far=0.5)
    """
    if not 0 < far < 1:
        raise EvaluationError(f"verification: a false accept rate is above 0 and below 1 (got {far}).")
    if far * curve.impostor < 1 - 1e-9:
        raise EvaluationError(f"{counted(curve.impostor, 'impostor pair', 'impostor pairs')}: {resolution(curve)}")
    place = int(np.searchsorted(curve.false_accepts, far * curve.impostor + 1e-9, side="right")) - 1
    return AcceptRates(float(curve.thresholds[place]), float(curve.tar[place]), float(curve.far[place]))


def resolution(curve: ErrorCurve) -> str:
    """Return the lowest false accept rate that the impostor pairs resolve: by the rule of three, 3 / their number.

    Source:
        Hanley and Lippman-Hand, If Nothing Goes Wrong, Is Everything All Right?, JAMA 249(13), 1983.
    """
    return f"no FAR below {min(1.0, 3 / curve.impostor):.1e}"


def rates_at(curve: ErrorCurve, threshold: float) -> AcceptRates:
    """Return what any threshold reaches on the pairs of a curve."""
    place = int(np.searchsorted(-curve.thresholds, -threshold, side="right")) - 1
    return AcceptRates(threshold, float(curve.tar[max(place, 0)]), float(curve.far[max(place, 0)]))


def eer(curve: ErrorCurve) -> tuple[float, float]:
    """Return the equal error rate, where FAR and FNMR cross, and the threshold there.

    Between two thresholds both rates are taken for straight lines.

    Source:
        ISO/IEC 2382-37, with the interpolation of the ROC that scikit-learn's users know.

    >>> eer(error_curve(np.array([0.9, 0.8, 0.2]), np.array([0.7, 0.1, 0.1])))[0]
    0.3333333333333333
    """
    gap = curve.far - (1 - curve.tar)  # rises from -1 to 1
    after = int(np.argmax(gap >= 0))
    before = after - 1
    share = -gap[before] / (gap[after] - gap[before])
    rate = curve.far[before] + share * (curve.far[after] - curve.far[before])
    level = curve.thresholds[before] + share * (curve.thresholds[after] - curve.thresholds[before])
    return float(rate), float(level)


def auc(curve: ErrorCurve) -> float:
    """Return the area under the ROC: how often a genuine pair scores above an impostor pair, ties by half.

    >>> auc(error_curve(np.array([0.9, 0.4]), np.array([0.4, 0.1])))
    0.875
    """
    return float(np.trapezoid(curve.tar, curve.far))


def d_prime(genuine: Floats, impostor: Floats) -> float | None:
    """Return the distance of the two means in units of the root mean of the two variances; None where both are 0.

    Source:
        Daugman, Biometric Decision Landscapes, University of Cambridge, UCAM-CL-TR-482, 2000.

    >>> d_prime(np.array([2.0, 4.0]), np.array([-1.0, 1.0]))
    3.0
    """
    both = [np.asarray(scores, np.float64) for scores in (genuine, impostor)]
    return _separation(np.array([part.mean() for part in both]), np.array([part.var() for part in both]))


def _separation(mean: npt.NDArray[np.float64], variance: npt.NDArray[np.float64]) -> float | None:
    spread = float(np.sqrt(variance.mean()))
    return None if spread == 0 else float(mean[0] - mean[1]) / spread


def _check_pairs(kind: str, pairs: int) -> None:
    if not pairs:
        way = "add a second photo of some people" if kind == "genuine" else "add a second person"
        raise EvaluationError(f"verification: there is no {kind} pair, so no threshold can be judged: {way}.")
