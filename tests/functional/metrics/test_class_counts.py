from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from metricface.functional.metrics.class_counts import accuracy, balanced_accuracy, class_counts, f1, precision, recall


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_every_figure_is_that_of_scikit_learn(photos: list[tuple[int, int]]) -> None:
    labels, predicted = np.array(photos).T
    sums = class_counts(labels, predicted, 4).sum(axis=0)
    assert accuracy(sums) == pytest.approx(accuracy_score(labels, predicted))
    present = np.unique(labels)
    expected = np.full((2, 4), np.nan)
    for figures, score in zip(expected, (f1_score, recall_score), strict=True):
        figures[present] = score(labels, predicted, labels=present, average=None, zero_division=0)
    assert f1(sums) == pytest.approx(expected[0], nan_ok=True)
    assert recall(sums) == pytest.approx(expected[1], nan_ok=True)
    assert balanced_accuracy(sums) == pytest.approx(expected[1].mean(), nan_ok=True)
    per_class = precision_score(labels, predicted, labels=range(4), average=None, zero_division=np.nan)
    assert precision(sums) == pytest.approx(per_class, nan_ok=True)


def test_many_sums_at_once() -> None:
    rng = np.random.default_rng(0)
    counts = class_counts(rng.integers(3, size=60), rng.integers(3, size=60), 3).reshape(5, 12, 3, 3).sum(axis=1)
    assert f1(counts).shape == (5, 3)
    for figure in (accuracy, balanced_accuracy, f1, recall, precision):
        assert figure(counts) == pytest.approx(np.array([figure(one) for one in counts]))


def test_no_photo_is_no_number() -> None:
    empty = np.zeros((3, 2))
    figures = [accuracy(empty), balanced_accuracy(empty), *f1(empty), *recall(empty), *precision(empty)]
    assert np.isnan(figures).all()
