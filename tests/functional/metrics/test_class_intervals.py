from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    precision_score,
    roc_auc_score,
)

from metricface.functional.metrics import bootstrap
from metricface.functional.metrics.class_intervals import decision_intervals, ranking_intervals

RNG = np.random.default_rng(3)
UNITS = np.append(np.arange(25), RNG.integers(25, size=95))
LABELS = (UNITS % 3).astype(np.int64)
PREDICTED = np.where(RNG.random(120) < 0.7, LABELS, RNG.integers(3, size=120))
POSITIVE = LABELS == 1
SCORES = np.round(RNG.normal(size=120) + POSITIVE, 1)  # with ties


def samples(count: int, seed: int) -> list[np.ndarray]:
    """The photos of each sample, in the draws of the implementation."""
    drawn = np.random.default_rng(seed).integers(25, size=(count, 25))
    return [np.concatenate([np.flatnonzero(unit == UNITS) for unit in units]) for units in drawn]


def expected(figures: list[float]) -> tuple[float, float]:
    return tuple(np.quantile(figures, [0.025, 0.975]))


def test_intervals_of_decisions_are_those_of_scikit_learn_on_every_sample() -> None:
    found = decision_intervals(LABELS, PREDICTED, 3, UNITS, samples=60, seed=5)
    figures = {
        "accuracy": accuracy_score,
        "balanced_accuracy": balanced_accuracy_score,
        "f1": lambda a, b: f1_score(a, b, average="macro"),
        "precision": lambda a, b: precision_score(a, b, average="macro"),
        "f1.2": lambda a, b: f1_score(a, b, labels=[2], average="macro"),
        "precision.0": lambda a, b: precision_score(a, b, labels=[0], average="macro"),
    }
    chosen = samples(60, 5)
    for name, score in figures.items():
        assert found[name] == pytest.approx(expected([score(LABELS[s], PREDICTED[s]) for s in chosen])), name
    assert found["recall"] == found["balanced_accuracy"]


def test_intervals_of_rankings_are_those_of_scikit_learn_on_every_sample() -> None:
    found = ranking_intervals(SCORES, POSITIVE, UNITS, samples=60, seed=5)
    for name, score in {"auroc": roc_auc_score, "average_precision": average_precision_score}.items():
        assert found[name] == pytest.approx(expected([score(POSITIVE[s], SCORES[s]) for s in samples(60, 5)])), name


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = decision_intervals(LABELS, PREDICTED, 3, UNITS, samples=30, seed=1)
    ranking = ranking_intervals(SCORES, POSITIVE, UNITS, samples=30, seed=1)
    monkeypatch.setattr(bootstrap, "_BLOCK", 300)
    assert decision_intervals(LABELS, PREDICTED, 3, UNITS, samples=30, seed=1) == whole
    assert ranking_intervals(SCORES, POSITIVE, UNITS, samples=30, seed=1) == ranking


def test_only_people_with_photos_are_drawn() -> None:
    inside = UNITS % 4 == 1  # as in a group
    dense = np.unique(UNITS[inside], return_inverse=True)[1]
    found, expected = (
        decision_intervals(LABELS[inside], PREDICTED[inside], 3, units, samples=40, seed=2)
        for units in (UNITS[inside], dense)
    )
    assert found == expected


def test_a_figure_that_most_samples_lack_has_no_interval() -> None:
    labels, predicted = np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1])
    found = decision_intervals(labels, predicted, 2, np.arange(4), samples=50, seed=0)
    assert {"accuracy", "recall.0", "precision.0"} <= set(found)
    assert not {"balanced_accuracy", "recall.1", "f1.1", "f1"} & set(found)
    assert ranking_intervals(np.arange(4.0), labels == 1, np.arange(4), samples=50, seed=0) == {}
