from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from metricface.errors import EvaluationError
from metricface.functional.metrics.calibration import (
    class_logits,
    fit_temperature,
    log_odds,
    probabilities,
    reliability,
)


def naive_error(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Guo et al., equation 3, bin by bin."""
    total = 0.0
    for m in range(1, bins + 1):
        inside = [i for i, c in enumerate(confidence) if (m - 1) / bins < c <= m / bins or (m == 1 and c == 0)]
        if inside:
            gap = abs(np.mean([right[i] for i in inside]) - np.mean([confidence[i] for i in inside]))
            total += len(inside) / len(confidence) * gap
    return total


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_the_error_is_that_of_the_paper(photos: list[tuple[float, bool]]) -> None:
    confidence, right = (np.array(column) for column in zip(*photos, strict=True))
    # At a bin's very border the product with 15 rounds; the paper's inequality does too, elsewhere.
    if np.any(np.abs(confidence * 15 - np.round(confidence * 15)) < 1e-9):
        confidence = np.clip(confidence + 1e-6, 0, 1 - 1e-6)
    found = reliability(confidence, right)
    assert found.error == pytest.approx(naive_error(confidence, right), abs=1e-12)
    assert found.counts.sum() == len(photos)
    assert 0 <= found.error <= 1


def test_borders_belong_to_the_lower_bin_and_0_to_the_first() -> None:
    found = reliability(np.array([0.0, 0.25, 0.26, 0.5, 1.0]), np.ones(5, bool), bins=4)
    assert found.counts.tolist() == [2, 2, 0, 1]
    assert found.accuracy.tolist() == [1, 1, 0, 1]
    assert found.confidence == pytest.approx([0.125, 0.38, 0, 1])


def test_without_photos_there_is_no_error() -> None:
    with pytest.raises(EvaluationError, match=r"calibration: no photo \(got 0 predictions\)"):
        reliability(np.zeros(0), np.zeros(0, bool))


def test_one_logit_is_the_log_odds_of_label_1() -> None:
    logits = np.array([[-2.0], [0.0], [3.0]], np.float32)
    of_class = probabilities(class_logits(logits, 2))
    assert of_class[:, 1] == pytest.approx(1 / (1 + np.exp(-logits[:, 0])))
    assert log_odds(class_logits(logits, 2), np.array([1, 1, 0])) == pytest.approx([-2, 0, -3])


def test_log_odds_of_many_classes() -> None:
    logits = np.random.default_rng(0).normal(size=(20, 4), scale=3)
    chosen = np.random.default_rng(1).integers(4, size=20)
    own = probabilities(logits)[np.arange(20), chosen]
    assert log_odds(logits, chosen) == pytest.approx(np.log(own / (1 - own)))


def test_other_logits_than_classes_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"the head gives 5 logits for 3 classes\. Use a head with one logit per"):
        class_logits(np.zeros((2, 5), np.float32), 3)
    with pytest.raises(EvaluationError, match="the head gives 1 logits for 3 classes"):
        class_logits(np.zeros((2, 1), np.float32), 3)


def test_huge_logits_do_not_overflow() -> None:
    assert probabilities(np.array([[0.0, 5000.0], [-5000.0, 0.0]])) == pytest.approx(np.array([[0, 1], [0, 1]]))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), classes=st.integers(2, 4), scale=st.floats(0.3, 30))
def test_the_temperature_is_the_one_that_a_general_optimizer_finds(seed: int, classes: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    labels = np.append(np.arange(classes), rng.integers(classes, size=60))
    logits = scale * (np.eye(classes)[labels] + rng.normal(size=(len(labels), classes)))
    found = fit_temperature(logits, labels)
    if found is None:
        return

    def loss(log_temperature: float) -> float:
        return log_loss(labels, probabilities(logits, float(np.exp(log_temperature))), labels=range(classes))

    best = minimize_scalar(loss, bounds=(np.log(0.01), np.log(100)), method="bounded", options={"xatol": 1e-8})
    assert loss(float(np.log(found))) <= best.fun + 1e-9
    assert found == pytest.approx(float(np.exp(best.x)), rel=1e-3)


def test_overconfident_logits_are_cooled_and_their_error_falls() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(size=4000, scale=2)
    labels = (rng.random(4000) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    logits = class_logits(5 * odds[:, None], 2)
    temperature = fit_temperature(logits, labels)
    assert temperature == pytest.approx(5, rel=0.1)
    right = logits.argmax(axis=1) == labels
    before, after = (reliability(probabilities(logits, t).max(axis=1), right).error for t in (1.0, temperature))
    assert after < 0.02 < before


def test_where_no_finite_temperature_is_best_there_is_none() -> None:
    labels = np.array([0, 1, 1])
    assert fit_temperature(class_logits(np.array([[-1.0], [1.0], [2.0]]), 2), labels) is None  # all right
    assert fit_temperature(class_logits(np.array([[1.0], [-1.0], [-2.0]]), 2), labels) is None  # worse than chance
    assert fit_temperature(class_logits(np.zeros((3, 1)), 2), labels) is None  # nothing said
    assert fit_temperature(class_logits(np.array([[-1.0], [1.0], [-0.1]]), 2), labels) is not None


def test_a_temperature_of_each_photo_is_its_own() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 2))
    temperatures = np.array([0.5, 1.0, 4.0])
    expected = [probabilities(logits[i : i + 1], float(temperatures[i]))[0] for i in range(3)]
    assert probabilities(logits, temperatures) == pytest.approx(np.array(expected))
