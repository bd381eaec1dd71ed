"""Threshold and temperature: fitted on some photos, used on others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metricface.contracts import Dataset, Subject
from metricface.contracts.results import OperatingPoint, Refusal
from metricface.errors import EvaluationError
from metricface.functional.metrics.calibration import class_logits, fit_temperature, probabilities
from metricface.functional.metrics.decisions import Rule, deal_folds, decide, fit_threshold

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HALF = 0.5
_MOST_PROBABLE = "most probable class"


@dataclass(frozen=True, slots=True)
class Scores:
    """What a head says of N photos, and whose photos they are.

    Args:
        logits: (N, C), one per class.
        labels: (N,).
        names: of the classes.
        units: (N,) dense numbers of the people, or of the photos where people are unknown.
        unit: what they are: "people" or "photos".
    """

    logits: Floats
    labels: Ints
    names: tuple[str, ...]
    units: Ints
    unit: str

    def of(self, chosen: npt.NDArray[np.bool_]) -> Scores:
        """Return the scores of some of the photos."""
        return Scores(self.logits[chosen], self.labels[chosen], self.names, self.units[chosen], self.unit)

    @property
    def absent(self) -> tuple[str, ...]:
        """The classes without a photo."""
        return tuple(name for c, name in enumerate(self.names) if not (self.labels == c).any())


@dataclass(frozen=True, slots=True)
class Fit:
    """A threshold for label 1 of two classes (None for more) and a temperature, None where none is best."""

    threshold: float | None
    temperature: float | None


@dataclass(frozen=True, slots=True)
class Decisions:
    """What N photos are decided by.

    Args:
        thresholds: (N,), or None where none can be fitted or more than two classes need none.
        temperatures: (N,), or None where none can be fitted.
        point: what goes into the model, or None.
        refusals: what cannot be fitted, and why.
    """

    thresholds: Floats | None = None
    temperatures: Floats | None = None
    point: OperatingPoint | None = None
    refusals: tuple[Refusal, ...] = ()

    def probabilities(self, logits: Floats) -> Floats:
        """Return probabilities (N, C) of the logits (N, C) of the photos."""
        return probabilities(logits, 1.0 if self.temperatures is None else self.temperatures)

    def predicted(self, logits: Floats) -> Ints:
        """Return the class (N,) of each photo; at 0.5 where there is no threshold."""
        return decide(self.probabilities(logits), HALF if self.thresholds is None else self.thresholds)


@dataclass(frozen=True, slots=True)
class OperatingPointFitter:
    """Fits operating points by a rule, see `metrics.decisions.fit_threshold`.

    `folds` and `seed` are those of cross-fitting.
    """

    rule: Rule
    recall: float
    folds: int
    seed: int

    def decisions(self, scores: Scores, calibration: Scores | None, stored: Sequence[OperatingPoint]) -> Decisions:
        """Return what photos are decided by: what was fitted on others.

        A stored operating point is used as it is. Without one, threshold and temperature are fitted on the
        calibration photos; without those they are cross-fitted over the photos themselves: the photos of a fold are
        decided by what was fitted on the other folds, and the operating point is fitted on all of them.
        """
        if stored:
            return _everywhere(stored[0], len(scores.labels))
        if calibration is not None:
            return self._apart(scores, calibration)
        return self._crossed(scores)

    def fit(self, scores: Scores) -> Fit:
        """Fit threshold and temperature on photos of every class."""
        temperature = fit_temperature(scores.logits, scores.labels)
        if len(scores.names) != 2:
            return Fit(None, temperature)
        accepted = probabilities(scores.logits, temperature or 1.0)[:, 1]
        return Fit(fit_threshold(accepted, scores.labels == 1, self.rule, self.recall), temperature)

    def _apart(self, scores: Scores, calibration: Scores) -> Decisions:
        if calibration.absent:
            return _nothing(f"the calibration photos have none of {_listed(calibration.absent)}")
        fit = self.fit(calibration)
        point = self._point(fit, scores.names, f"the calibration split, {len(calibration.labels)} photos")
        return _everywhere(point, len(scores.labels))

    def _crossed(self, scores: Scores) -> Decisions:
        if scores.absent:
            return _nothing(f"there is no photo of {_listed(scores.absent)}")
        fold = deal_folds(scores.units, scores.labels, self.folds, self.seed)
        parts = range(int(fold.max()) + 1)
        scarce = {name for part in parts for name in scores.of(fold != part).absent}
        if scarce:
            return _nothing(
                f"one fold has all photos of {_listed(sorted(scarce))}: to fit on some and judge the others takes "
                f"{scores.unit} of every class in two folds"
            )
        fits = [self.fit(scores.of(fold != part)) for part in parts]
        fit = self.fit(scores)
        fitted_on = (
            f"all {len(fold)} photos that the run was evaluated on "
            f"(their own figures are cross-fitted over {scores.unit}, {len(parts)} folds)"
        )
        undecided = [part for part in parts if fits[part].temperature is None]
        temperatures = np.array([found.temperature or 1.0 for found in fits])
        thresholds = np.array([HALF if found.threshold is None else found.threshold for found in fits])
        return Decisions(
            thresholds[fold] if len(scores.names) == 2 else None,
            temperatures[fold] if len(undecided) < len(parts) else None,
            self._point(fit, scores.names, fitted_on),
            (_no_temperature(f"in {len(undecided)} of {len(parts)} folds no photo"),) if undecided else (),
        )

    def _point(self, fit: Fit, names: Sequence[str], fitted_on: str) -> OperatingPoint:
        values = {} if fit.temperature is None else {"temperature": fit.temperature}
        if fit.threshold is None:
            return OperatingPoint(0.0, _MOST_PROBABLE, fitted_on, values)
        rules = {
            "f1": f"max F1 of {names[1]!r}",
            "balanced-accuracy": "max balanced accuracy",
            "recall": f"recall of {names[1]!r} >= {self.recall}",
        }
        return OperatingPoint(fit.threshold, rules[self.rule], fitted_on, values)


def read_scores(subject: Subject, dataset: Dataset) -> Scores:
    """Ask a subject for the logits of a dataset.

    Raises:
        EvaluationError: there is no photo, or a logit is not finite; names the first such photo.
    """
    predictions = subject.predict(dataset)
    logits = class_logits(predictions.logits, len(predictions.label_names))
    if not len(logits):
        raise EvaluationError("classification: there is no photo to judge (got 0). Look at the data folder.")
    bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(bad):
        raise EvaluationError(
            f"{dataset.items[bad[0]].path}: its logits are not finite ({len(bad)} of {len(logits)} photos). "
            "The model is broken: train with a lower optimizer.lr or fp32."
        )
    people = any(item.identity for item in dataset.items)
    keys = [item.identity or item.source or str(item.path) for item in dataset.items]
    units = np.unique(np.array(keys, np.str_), return_inverse=True)[1]
    return Scores(logits, predictions.labels, predictions.label_names, units, "people" if people else "photos")


def _everywhere(point: OperatingPoint, photos: int) -> Decisions:
    """Decide on all photos alike."""
    temperature = point.values.get("temperature")
    return Decisions(
        None if point.rule == _MOST_PROBABLE else np.full(photos, point.threshold),
        None if temperature is None else np.full(photos, temperature),
        point,
        (_no_temperature("no photo"),) if temperature is None else (),
    )


def _nothing(why: str) -> Decisions:
    return Decisions(refusals=(Refusal("threshold, temperature", why),))


def _no_temperature(where: str) -> Refusal:
    return Refusal(
        "temperature",
        f"{where} to fit it on is judged wrong, or the logits say no more than chance: no finite temperature is best "
        "and 1 is used",
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
