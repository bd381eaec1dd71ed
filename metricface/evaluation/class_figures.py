"""The figures of decisions by class and by group; scikit-learn computes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metricface.contracts.results import Reading, Refusal, Row, Value
from metricface.evaluation.operating_points import Ints, Scores
from metricface.functional.metrics.calibration import probabilities
from metricface.functional.metrics.class_intervals import decision_intervals, ranking_intervals

_OF_ALL_CLASSES = ("balanced_accuracy", "f1", "precision", "recall")


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals are drawn."""

    samples: int
    seed: int


@dataclass(frozen=True, slots=True)
class Figures:
    """One reading: figures with rows by class, then rows by group; and what cannot be given."""

    readings: tuple[Reading, ...]
    refusals: tuple[Refusal, ...]


def class_readings(
    name: str, scores: Scores, predicted: Ints, groups: npt.NDArray[np.str_], bootstrap: Bootstrap
) -> Figures:
    """Return the reading of one way to decide.

    Args:
        name: of the reading.
        scores: whose labels are compared.
        predicted: (N,) classes decided on.
        groups: (N,) names, "" for a photo without a group.
        bootstrap: of the intervals.
    """
    from sklearn.metrics import confusion_matrix

    values, rows, refusals = _figures(name, scores, predicted, bootstrap)
    matrix = confusion_matrix(scores.labels, predicted, labels=range(len(scores.names)))
    confusion = {
        actual: dict(zip(scores.names, (int(count) for count in row), strict=True))
        for actual, row in zip(scores.names, matrix, strict=True)
    }
    readings = [Reading(name, values, rows, by="class", confusion=confusion)]
    group_rows = []
    for group in np.unique(groups[groups != ""]):
        of_group, _, refused = _figures(
            _join(name, f"by_group.{group}"), scores.of(groups == group), predicted[groups == group], bootstrap
        )
        group_rows.append(Row(str(group), of_group))
        refusals += refused
    if group_rows:
        without = int((groups == "").sum())
        counts = {"photos_without_group": without} if without else {}
        readings.append(Reading(name, {}, tuple(group_rows), counts, by="group"))
    return Figures(tuple(readings), tuple(refusals))


def ranking_figures(scores: Scores, bootstrap: Bootstrap) -> tuple[dict[str, Value], list[Refusal]]:
    """Return AUROC and average precision: of label 1 of two classes, else the mean of each class against the rest."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    n, labels, classes = len(scores.labels), scores.labels, len(scores.names)
    if scores.absent:
        return {}, [Refusal("auroc, average_precision", _no_photo(scores.absent))]
    if classes == 2:
        margin = scores.logits[:, 1] - scores.logits[:, 0]
        found = ranking_intervals(margin, labels == 1, scores.units, samples=bootstrap.samples, seed=bootstrap.seed)
        auroc, precision = roc_auc_score(labels, margin), average_precision_score(labels, margin)
    else:
        found = {}
        of_class = probabilities(scores.logits)
        auroc = roc_auc_score(labels, of_class, multi_class="ovr", labels=range(classes))
        precision = average_precision_score(np.eye(classes)[labels], of_class)
    return {
        "auroc": Value(float(auroc), n, found.get("auroc")),
        "average_precision": Value(float(precision), n, found.get("average_precision")),
    }, []


def _figures(
    name: str, scores: Scores, predicted: Ints, bootstrap: Bootstrap
) -> tuple[dict[str, Value], tuple[Row, ...], list[Refusal]]:
    """Return the figures of all photos, those of each class, and what cannot be given."""
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, precision_recall_fscore_support

    labels, classes, n = scores.labels, range(len(scores.names)), len(scores.labels)
    found = decision_intervals(
        labels, predicted, len(classes), scores.units, samples=bootstrap.samples, seed=bootstrap.seed
    )
    precision, recall, f1, photos = precision_recall_fscore_support(
        labels, predicted, labels=classes, zero_division=np.nan
    )
    taken_for = np.bincount(predicted, minlength=len(classes))
    figures = {"accuracy": Value(float(accuracy_score(labels, predicted)), n, found["accuracy"])}
    refusals = []
    if scores.absent:
        refusals.append(Refusal(_join(name, ", ".join(_OF_ALL_CLASSES)), _no_photo(scores.absent)))
    else:
        macro = {
            "balanced_accuracy": balanced_accuracy_score(labels, predicted),
            "f1": f1.mean(),
            "precision": precision.mean(),
            "recall": recall.mean(),
        }
        figures |= {key: Value(float(v), n, found.get(key)) for key, v in macro.items() if not np.isnan(v)}
    never = [scores.names[c] for c in classes if taken_for[c] == 0 and photos[c]]
    if never:
        listed = ", ".join(repr(one) for one in never)
        refusals.append(Refusal(_join(name, "precision"), f"no photo is taken for {listed}"))
    rows = []
    for c in classes:
        if photos[c]:
            ns = {"recall": photos[c], "precision": taken_for[c], "f1": photos[c]}
            of_class = {"recall": recall[c], "precision": precision[c], "f1": f1[c]}
            rows.append(Row(scores.names[c], _of_class(c, of_class, ns, found)))
    return figures, tuple(rows), refusals


def _of_class(
    number: int, figures: Mapping[str, float], ns: Mapping[str, int], found: Mapping[str, tuple[float, float]]
) -> dict[str, Value]:
    """Return the figures that one class has."""
    return {
        key: Value(float(value), int(ns[key]), found.get(f"{key}.{number}"))
        for key, value in figures.items()
        if not np.isnan(value)
    }


def _join(reading: str, figure: str) -> str:
    return f"{reading}.{figure}" if reading else figure


def _no_photo(absent: tuple[str, ...]) -> str:
    return f"there is no photo of {', '.join(repr(name) for name in absent)}"
