"""Verification figures against naive loops, scikit-learn and hand-computed cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score, roc_curve

from metricface.errors import EvaluationError
from metricface.functional.metrics.pair_folds import fold_accuracy
from metricface.functional.metrics.pair_intervals import dyadic_variance, pair_interval, wilson
from metricface.functional.metrics.verification import (
    STEPS,
    ScoreCounts,
    auc,
    d_prime,
    eer,
    error_curve,
    rates_at,
    tar_at_far,
)

SCORES = arrays(np.float32, st.integers(1, 30), elements=st.integers(-8, 8).map(lambda number: number / 8))


@given(genuine=SCORES, impostor=SCORES, far=st.floats(0.01, 0.99))
def test_tar_at_far_is_the_best_threshold_of_a_naive_loop(genuine, impostor, far):
    curve = error_curve(genuine, impostor)
    candidates = [np.nextafter(float(max(genuine.max(), impostor.max())), np.inf), *{*genuine, *impostor}]
    allowed = [t for t in candidates if (impostor >= t).mean() <= far + 1e-12]
    if far < 1 / len(impostor):
        with pytest.raises(EvaluationError, match="no FAR below"):
            tar_at_far(curve, far)
        return
    found = tar_at_far(curve, far)
    assert found.far <= far + 1e-12
    assert found.threshold == float(min(allowed))
    assert found.tar == max((genuine >= t).mean() for t in allowed)


@given(genuine=SCORES, impostor=SCORES)
def test_curve_and_area_are_those_of_scikit_learn(genuine, impostor):
    curve = error_curve(genuine, impostor)
    truth = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    false, true, thresholds = roc_curve(truth, np.r_[genuine, impostor], drop_intermediate=False)
    np.testing.assert_allclose(curve.far, false)
    np.testing.assert_allclose(curve.tar, true)
    np.testing.assert_allclose(curve.thresholds[1:], thresholds[1:])
    assert auc(curve) == pytest.approx(roc_auc_score(truth, np.r_[genuine, impostor]))


@given(genuine=SCORES, impostor=SCORES)
def test_counts_give_the_rates_of_the_scores_themselves(genuine, impostor):
    counts = ScoreCounts()
    counts.add(genuine, genuine=True)
    for score in impostor:
        counts.add(np.array([[score]]), genuine=False)
    curve, exact = counts.curve(), error_curve(genuine, impostor)
    np.testing.assert_array_equal(curve.true_accepts, exact.true_accepts)
    np.testing.assert_array_equal(curve.false_accepts, exact.false_accepts)
    np.testing.assert_array_equal(curve.thresholds[1:], exact.thresholds[1:])  # eighths are multiples of 1 / STEPS
    assert counts.d_prime() == pytest.approx(d_prime(genuine, impostor), abs=1e-6)


def test_a_threshold_of_counts_accepts_just_the_scores_at_or_above_it():
    rng = np.random.default_rng(0)
    genuine, impostor = rng.uniform(-1, 1, (2, 5000)).astype(np.float32)
    counts = ScoreCounts()
    counts.add(genuine, genuine=True)
    counts.add(impostor, genuine=False)
    found = tar_at_far(counts.curve(), 0.01)
    assert found.far == (impostor >= found.threshold).mean() <= 0.01
    assert found.tar == (genuine >= found.threshold).mean()
    assert tar_at_far(error_curve(genuine, impostor), 0.01).threshold == pytest.approx(found.threshold, abs=2 / STEPS)


@given(genuine=SCORES, impostor=SCORES)
def test_eer_lies_on_both_lines(genuine, impostor):
    curve = error_curve(genuine, impostor)
    rate, _ = eer(curve)
    grid = np.linspace(0, 1, 20_001)
    gap = grid - (1 - np.interp(grid, curve.far, curve.tar))
    assert 0 <= rate <= 1
    if len(np.unique(curve.far)) == len(curve.far):  # a vertical piece has no value of its own for np.interp
        assert rate == pytest.approx(grid[np.argmin(np.abs(gap))], abs=1e-4)


@pytest.mark.parametrize(
    ("genuine", "impostor", "expected"),
    [([1, 1], [0, 0], 0.0), ([0, 0], [1, 1], 1.0), ([0.5], [0.5], 0.5), ([0.9, 0.8, 0.2], [0.7, 0.1, 0.1], 1 / 3)],
)
def test_eer_by_hand(genuine, impostor, expected):
    assert eer(error_curve(np.array(genuine, np.float32), np.array(impostor, np.float32)))[0] == pytest.approx(expected)


def test_all_scores_equal_accept_nobody_rather_than_everybody():
    found = tar_at_far(error_curve(np.full(5, 0.5), np.full(50, 0.5)), 0.1)
    assert (found.tar, found.far) == (0.0, 0.0)
    assert found.threshold > 0.5
    assert d_prime(np.full(5, 0.5), np.full(50, 0.5)) is None


@pytest.mark.parametrize("threshold", [-2.0, 0.1, 0.25, 0.5, 0.7, 2.0])
def test_rates_at_any_threshold(threshold):
    genuine, impostor = np.array([0.5, 0.25, 0.75]), np.array([0.5, 0.1])
    found = rates_at(error_curve(genuine, impostor), threshold)
    assert found.tar == (genuine >= threshold).mean()
    assert found.far == (impostor >= threshold).mean()


def test_refusals_say_why():
    curve = error_curve(np.ones(3), np.zeros(1452))
    with pytest.raises(EvaluationError, match=r"^1452 impostor pairs: no FAR below 2\.1e-03$"):
        tar_at_far(curve, 1e-4)
    with pytest.raises(EvaluationError, match=r"above 0 and below 1 \(got 1\.5\)"):
        tar_at_far(curve, 1.5)
    with pytest.raises(EvaluationError, match=r"there is no genuine pair.*add a second photo of some people"):
        error_curve(np.empty(0), np.ones(1))
    with pytest.raises(EvaluationError, match=r"there is no impostor pair.*add a second person"):
        error_curve(np.ones(1), np.empty(0))
    with pytest.raises(EvaluationError, match="1 genuine score is not finite"):
        error_curve(np.array([np.nan]), np.ones(1))
    with pytest.raises(EvaluationError, match="not between -1 and 1"):
        ScoreCounts().add(np.array([1.5], np.float32), genuine=True)
    with pytest.raises(EvaluationError, match="not between -1 and 1"):
        ScoreCounts().add(np.array([np.nan], np.float32), genuine=True)
    with pytest.raises(EvaluationError, match="there is no genuine pair"):
        ScoreCounts().curve()


def _naive_folds(scores, genuine, folds, thresholds):
    """Return what InsightFace's way of doing it gives: every threshold counted anew on every fold."""
    accuracies = []
    for fold in range(folds.max() + 1):
        train, test = folds != fold, folds == fold
        right = [np.mean((scores[train] >= t) == genuine[train]) for t in thresholds]
        accuracies.append(np.mean((scores[test] >= thresholds[int(np.argmax(right))]) == genuine[test]))
    return np.array(accuracies)


def test_fold_accuracy_is_to_the_bit_that_of_the_naive_rules():
    rng = np.random.default_rng(1)
    genuine = np.arange(6000) % 600 < 300
    folds = np.arange(6000) // 600
    scores = (rng.normal(0, 0.15, 6000) + 0.4 * genuine).astype(np.float32)
    grid = 1 - np.arange(0, 4, 0.01) / 2  # squared distances of unit vectors, as InsightFace has them
    found = fold_accuracy(scores, genuine, folds, grid)
    expected = _naive_folds(scores, genuine, folds, grid)
    assert found.accuracies.tolist() == expected.tolist()
    assert found.mean == expected.mean()
    assert found.standard_error == expected.std(ddof=1) / np.sqrt(10)
    own = fold_accuracy(scores[:1200], genuine[:1200], folds[:1200])
    every = np.unique(scores[:1200])[::-1]
    for fold, accuracy in enumerate(_naive_folds(scores[:1200], genuine[:1200], folds[:1200], every)):
        assert abs(own.accuracies[fold] - accuracy) < 0.01  # thresholds of the fold itself are no candidates of ours


def test_fold_accuracy_refuses_one_fold():
    with pytest.raises(EvaluationError, match=r"folds are two or more \(got 1\)"):
        fold_accuracy(np.ones(2), np.array([True, False]), np.zeros(2, np.int64))


@given(st.data())
def test_variance_is_that_of_a_loop_over_pairs_of_pairs(data):
    pairs = data.draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=15))
    residuals = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=len(pairs), max_size=len(pairs))), float)
    naive = sum(
        residuals[i] * residuals[j]
        for i, mine in enumerate(pairs)
        for j, theirs in enumerate(pairs)
        if set(mine) & set(theirs)
    )
    one, other = np.array(pairs, np.int64).T
    assert dyadic_variance(residuals, one, other, 6) == pytest.approx(naive / len(pairs) ** 2 * 6 / 5)


@pytest.mark.parametrize("spread", [0.0, 0.8])
def test_interval_of_impostor_pairs_covers_as_often_as_it_says(spread):
    """People differ in how often they are mistaken; the true rate is that of very many of them."""
    rng = np.random.default_rng(2)
    people, runs = 120, 1000
    one, other = np.triu_indices(people, 1)
    means = rng.normal(0, spread, 1_000_000)
    truth = float((1 / (1 + np.exp(3 - means[:500_000] - means[500_000:]))).mean())
    covered = 0
    for _ in range(runs):
        person = rng.normal(0, spread, people)
        errors = rng.random(len(one)) < 1 / (1 + np.exp(3 - person[one] - person[other]))
        low, high = pair_interval(errors, one, other)
        covered += low <= truth <= high
    assert 0.93 <= covered / runs <= 0.97


def test_intervals_by_hand():
    people = np.arange(10)
    assert pair_interval(np.zeros(10, bool), people, people) == (0.0, 0.3)
    assert pair_interval(np.ones(10, bool), people, people) == (0.7, 1.0)
    assert pair_interval(np.zeros(5, bool), people[:5], people[5:]) == (0.0, 0.6)
    errors = np.array([True] * 2 + [False] * 8)
    low, high = pair_interval(errors, people, people)  # independent people: Wilson's interval of 2 in 9
    assert (low, high) == pytest.approx(wilson(0.2, 9))
    with pytest.raises(EvaluationError, match="interval: no pair"):
        pair_interval(np.empty(0, bool), np.empty(0, np.int64), np.empty(0, np.int64))
