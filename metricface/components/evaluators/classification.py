"""Classification: how often, at which threshold, and how far its probabilities can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le

from metricface.contracts import Dataset, Need, Subject
from metricface.contracts.results import Reading, Refusal, Result, Value
from metricface.errors import DataError, RecipeError
from metricface.evaluation.class_figures import Bootstrap, class_readings, ranking_figures
from metricface.evaluation.operating_points import HALF, Decisions, Ints, OperatingPointFitter, Scores, read_scores
from metricface.functional.metrics.calibration import log_odds, probabilities, reliability
from metricface.functional.metrics.decisions import Rule, decide

AT_HALF, FITTED = "threshold-0.5", "fitted-threshold"


class Classification:
    """Accuracy, precision, recall, F1, AUROC, average precision and calibration of a classifier.

    With two classes, label 1 is the positive one, and there are two readings: `threshold-0.5`, and
    `fitted-threshold` at the threshold of the rule. The headline figures (`accuracy`, `balanced_accuracy`, `f1`, ...)
    are those of `fitted-threshold`, the one that the model folder keeps; where no threshold can be fitted they
    are those at 0.5, and a refusal says so. With more classes the most probable one is taken and there is one reading.

    Threshold and temperature are fitted on `data.calibration`. Without it they are cross-fitted over the people of
    val (over its photos where people are unknown): the photos of each fold are decided on by what the other folds gave.
    The operating point for the model folder is then fitted on all of val.

    `precision`, `recall` and `f1` are macro averages over the classes; each class has a row, and so has each value of
    an attribute "group" of the photos. `auroc` and `average_precision` are of the positive class, before any scaling;
    with more classes they are means over one class against the rest. `ece` is the expected calibration error of the
    most probable class in 15 equal-width bins, `ece_after_temperature` the same after temperature scaling. Intervals
    are 95 % percentile bootstrap intervals over people, or photos; a sample without a photo of some class is left out
    of that class's figures and of the means over classes, and where less than half of the samples are left there is no
    interval.

    Args:
        class_names: those trained on, in label order; other ones are refused. Without any, all are taken.
        rule: what the threshold serves: "balanced-accuracy" (both classes alike), "f1" of the positive class, or
            "recall": the highest threshold that reaches the stated recall of the positive class.
        recall: wanted by the rule "recall".
        folds: of cross-fitting.
        bootstrap_samples: of the intervals.
        seed: of folds and intervals.

    Raises:
        RecipeError: the rule "recall" without `recall`, or another rule with it.

    Source:
        Figures: scikit-learn. Temperature and calibration error: Guo et al., arXiv 1706.04599.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"logits"})
    metrics: ClassVar[tuple[str, ...]] = (
        *("accuracy", "balanced_accuracy", "f1", "auroc", "average_precision"),
        *(f"{AT_HALF}.{figure}" for figure in ("accuracy", "balanced_accuracy", "f1")),
    )

    def __init__(
        self,
        *,
        class_names: Sequence[str] = (),
        rule: Rule = "balanced-accuracy",
        recall: Annotated[float, Gt(0), Le(1)] | None = None,
        folds: Annotated[int, Ge(2)] = 5,
        bootstrap_samples: Annotated[int, Ge(1), Le(100_000)] = 1000,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        if (rule == "recall") != (recall is not None):
            raise RecipeError(
                f'evaluate.classification: the rule "recall" and a recall belong together (got rule = {rule!r}, '
                f"recall = {recall}). Set both, for instance recall = 0.95, or leave recall out."
            )
        self._class_names = tuple(class_names)
        self._fitter = OperatingPointFitter(rule, 1.0 if recall is None else recall, folds, seed)
        self._bootstrap = Bootstrap(bootstrap_samples, seed)

    def __call__(self, subject: Subject) -> Result:
        """Decide on the subject's photos and compare with what they are.

        Raises:
            EvaluationError: there is no photo, a logit is not finite, or the head gives other logits than classes.
        """
        scores = read_scores(subject, subject.dataset)
        calibration = None if subject.calibration is None else read_scores(subject, subject.calibration)
        decisions = self._fitter.decisions(scores, calibration, subject.operating_points)
        groups = np.array([item.attributes.get("group", "") for item in subject.dataset.items], np.str_)
        readings, refusals = self._readings(scores, decisions, groups)
        return Result(
            readings,
            () if decisions.point is None else (decisions.point,),
            (*decisions.refusals, *refusals),
            _outcomes(scores, decisions, subject.dataset),
        )

    def check(self, dataset: Dataset) -> None:
        """Refuse a split that a classifier cannot be measured on.

        Raises:
            DataError: there are fewer than two classes, or others than those trained on.
        """
        names = dataset.label_names
        if len(names) < 2:
            raise DataError(
                f"classification: a classifier tells two or more classes apart (got {len(names)}: "
                f"{', '.join(names) or 'none'}). Add a folder of photos for each class."
            )
        if self._class_names and tuple(names) != self._class_names:
            raise DataError(
                f"classification: the classes are {', '.join(names)}, the model was trained on "
                f"{', '.join(self._class_names)}. Give both splits the same classes in the same order."
            )

    def _readings(self, scores: Scores, decisions: Decisions, groups: Any) -> tuple[tuple[Reading, ...], list[Refusal]]:
        """Return the readings, and what of them cannot be given."""
        ranking, refusals = ranking_figures(scores, self._bootstrap)
        calibration = _calibration_figures(scores, decisions)
        fitted = class_readings(FITTED, scores, decisions.predicted(scores.logits), groups, self._bootstrap)
        if len(scores.names) > 2:
            fitted = class_readings("", scores, decisions.predicted(scores.logits), groups, self._bootstrap)
            first, *others = fitted.readings
            whole = Reading(
                "", {**first.figures, **ranking, **calibration}, first.rows, first.counts, "class", first.confusion
            )
            return (whole, *others), [*refusals, *fitted.refusals]
        predicted = decide(probabilities(scores.logits), HALF)
        half = class_readings(AT_HALF, scores, predicted, groups, self._bootstrap)
        shown = [half] if decisions.thresholds is None else [half, fitted]
        if decisions.thresholds is None:
            refusals.append(Refusal(FITTED, "there is no threshold but 0.5; the headline figures are at 0.5"))
        headline = Reading("", {**shown[-1].readings[0].figures, **ranking, **calibration})
        readings = [reading for found in shown for reading in found.readings]
        return (headline, *readings), [*refusals, *(refusal for found in shown for refusal in found.refusals)]


def _calibration_figures(scores: Scores, decisions: Decisions) -> dict[str, Value]:
    """Return the calibration error before and, where there is a temperature, after scaling."""
    n = len(scores.labels)
    right = scores.logits.argmax(axis=1) == scores.labels
    figures = {"ece": Value(reliability(probabilities(scores.logits).max(axis=1), right).error, n)}
    if decisions.temperatures is not None:
        scaled = decisions.probabilities(scores.logits).max(axis=1)
        figures["ece_after_temperature"] = Value(reliability(scaled, right).error, n)
    return figures


def _outcomes(scores: Scores, decisions: Decisions, dataset: Dataset) -> dict[str, Sequence[Any]]:
    """Return what became of each photo.

    `score` is the log-odds before scaling and `probability` the probability after it: of the positive class of two,
    of the most probable class of more.
    """
    probability = decisions.probabilities(scores.logits)
    predicted = decisions.predicted(scores.logits)
    chosen: Ints = np.ones(len(predicted), np.int64) if len(scores.names) == 2 else predicted
    return {
        "path": [str(item.path) for item in dataset.items],
        "person": [item.identity for item in dataset.items],
        "label": [scores.names[label] for label in scores.labels],
        "predicted": [scores.names[label] for label in predicted],
        "score": log_odds(scores.logits, chosen).tolist(),
        "probability": probability[np.arange(len(chosen)), chosen].tolist(),
    }
