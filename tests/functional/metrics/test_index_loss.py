"""What indexes lose: recall with ties, exact scores, thresholds, and which compromises nobody beats."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from metricface.errors import EvaluationError
from metricface.functional.metrics import index_loss, pareto
from metricface.functional.metrics.index_loss import exact_truth, open_set_threshold, recall, scored_again
from metricface.functional.metrics.pareto import undominated

RNG = np.random.default_rng(0)


def unit(shape: tuple[int, ...]) -> np.ndarray:
    vectors = RNG.standard_normal(shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_the_examples_hold() -> None:
    for module in (pareto, index_loss):
        assert doctest.testmod(module).failed == 0


def test_truth_is_the_full_sort_and_the_margin_is_between_people() -> None:
    gallery, queries = unit((60, 8)), unit((20, 8))
    people = np.arange(60) // 6
    found = exact_truth(queries, gallery, people, 10)
    cosines = queries @ gallery.T
    order = np.argsort(-cosines, axis=1, kind="stable")
    np.testing.assert_array_equal(found.ids, order[:, :10])
    best = np.stack([cosines[:, people == person].max(axis=1) for person in range(10)], axis=1)
    first, second = np.sort(best, axis=1)[:, ::-1][:, :2].T
    np.testing.assert_allclose(found.margins, first - second, atol=1e-6)
    alone = exact_truth(queries, gallery, np.zeros(60, np.int64), 10)
    assert np.isposinf(alone.margins).all()
    assert exact_truth(queries, gallery[:4], people[:4], 10).ids.shape == (20, 4)


def test_what_was_found_is_scored_exactly_and_nothing_is_minus_infinity() -> None:
    gallery, queries = unit((30, 4)), unit((5, 4))
    ids = RNG.integers(-1, 30, (5, 7))
    found = scored_again(queries, gallery, ids)
    for row in range(5):
        for column in range(7):
            wanted = -np.inf if ids[row, column] < 0 else queries[row] @ gallery[ids[row, column]]
            assert found[row, column] == pytest.approx(wanted, abs=1e-6)


def test_recall_counts_ties_and_no_more() -> None:
    truth = np.array([[0.9, 0.8, 0.8, 0.1]], np.float32)
    found = np.array([[0.8, 0.9, -np.inf, 0.8]], np.float32)
    assert [recall(found, truth, k)[0] for k in (1, 2, 3, 4)] == [1, 1, 1, 0.75]
    assert recall(np.array([[0.8 - 1e-5, 0.7, 0, 0]], np.float32), truth, 2)[0] == 0
    assert recall(truth[:, :2], truth[:, :2], 10)[0] == 1  # a gallery of two


@settings(max_examples=100, deadline=None)
@given(arrays(np.float32, st.integers(1, 60), elements=st.floats(-1, 1, width=32)), st.floats(0.01, 0.99))
def test_no_threshold_lets_more_strangers_in_than_it_says(highest: np.ndarray, rate: float) -> None:
    if len(highest) * rate < 1:
        with pytest.raises(EvaluationError, match=r"needs \d+ probes of people who are not in the gallery \(got"):
            open_set_threshold(highest, rate)
        return
    threshold = open_set_threshold(highest, rate)
    assert (highest > threshold).mean() <= rate + 1e-9
    lower = highest[highest < threshold]
    if len(lower) and (highest > threshold).sum() < np.floor(len(highest) * rate + 1e-9):
        assert (highest > lower.max()).mean() > rate - 1e-9  # a lower one would let too many in


@settings(max_examples=200, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=st.integers(0, 4).map(float)))
def test_a_point_stays_unless_another_beats_it(points: np.ndarray) -> None:
    kept = undominated(points)
    for one in range(len(points)):
        beaten = any(
            (points[other] >= points[one]).all() and (points[other] > points[one]).any() for other in range(len(points))
        )
        assert kept[one] == (not beaten)
    assert kept.any()
