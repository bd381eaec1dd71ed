from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from metricface.functional.metrics.decisions import deal_folds, decide, fit_threshold

JUDGES = {"f1": f1_score, "balanced-accuracy": balanced_accuracy_score}


@settings(max_examples=120, deadline=None)
@given(
    rule=st.sampled_from(["f1", "balanced-accuracy"]),
    photos=st.lists(st.tuples(st.sampled_from([0, 0.1, 0.2, 0.5, 0.50001, 0.9, 1]), st.booleans()), max_size=30),
    fine=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_no_threshold_serves_the_rule_better(rule: str, photos: list, fine: bool, seed: int) -> None:
    scores, positive = (np.array(column) for column in zip(*photos, (0.3, True), (0.6, False), strict=True))
    if fine:
        scores = np.random.default_rng(seed).random(len(scores))
    threshold = fit_threshold(scores.astype(float), positive, rule)
    reached = JUDGES[rule](positive, scores >= threshold)
    every = [JUDGES[rule](positive, scores >= other) for other in (*np.unique(scores), 2.0)]
    assert reached == pytest.approx(max(every))


@settings(max_examples=80, deadline=None)
@given(
    recall=st.floats(0.01, 1),
    photos=st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=0, max_size=30),
)
def test_a_stated_recall_is_reached_at_the_highest_threshold(recall: float, photos: list) -> None:
    scores, positive = (np.array(column) for column in zip(*photos, (0.3, True), (0.6, False), strict=True))
    threshold = fit_threshold(scores, positive, "recall", recall)
    assert recall_score(positive, scores >= threshold) >= recall - 1e-9
    higher = scores[scores >= threshold].min()
    assert recall_score(positive, scores > higher) < recall


def test_the_threshold_lies_half_way_and_of_equally_good_ones_nearest_to_a_half() -> None:
    scores, positive = np.array([0.1, 0.2, 0.6, 0.8]), np.array([False, False, True, True])
    assert fit_threshold(scores, positive, "f1") == pytest.approx(0.4)
    # Accepting the highest one (at 0.85) or three (at 0.2) is balanced accuracy 0.75.
    scores, positive = np.array([0.1, 0.3, 0.7, 1.0]), np.array([False, True, False, True])
    assert fit_threshold(scores, positive, "balanced-accuracy") == pytest.approx(0.2)


def test_two_neighbouring_floats_are_told_apart() -> None:
    low = np.nextafter(0.5, 0)
    threshold = fit_threshold(np.array([low, 0.5]), np.array([False, True]), "f1")
    assert low < threshold <= 0.5


def test_decisions_of_two_classes_and_of_more() -> None:
    two = np.array([[0.6, 0.4], [0.5, 0.5], [0.1, 0.9]])
    assert decide(two, 0.5).tolist() == [0, 1, 1]
    assert decide(two, 0.4).tolist() == [1, 1, 1]
    assert decide(two, np.array([0.4, 0.6, 0.95])).tolist() == [1, 0, 0]
    assert decide(two, None).tolist() == [0, 0, 1]
    assert decide(np.array([[0.2, 0.5, 0.3]]), 0.9).tolist() == [1]


@settings(max_examples=80, deadline=None)
@given(data=st.data(), folds=st.integers(2, 6), seed=st.integers(0, 100))
def test_folds_keep_units_whole_and_spread_every_class(data: st.DataObject, folds: int, seed: int) -> None:
    own = data.draw(st.lists(st.integers(0, 2), min_size=2, max_size=20), label="class of each unit")
    photos = data.draw(st.lists(st.integers(0, len(own) - 1), max_size=40), label="units of further photos")
    units = np.array([*range(len(own)), *photos])
    labels = np.array(own)[units]
    fold = deal_folds(units, labels, folds, seed)
    assert all(len(set(fold[units == unit])) == 1 for unit in set(units))
    assert len(set(fold)) == min(folds, len(own))
    for label in set(own):
        sizes = [sum(own[unit] == label for unit in set(units[fold == part])) for part in range(fold.max() + 1)]
        assert max(sizes) - min(sizes) <= 1
    order = np.random.default_rng(seed).permutation(len(units))
    assert (deal_folds(units[order], labels[order], folds, seed) == fold[order]).all()
