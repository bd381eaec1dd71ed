from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, recall_score

from metricface.metrics.class_counts import accuracy, balanced_accuracy, class_counts, f1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_every_figure_is_that_of_scikit_learn(photos: list[tuple[int, int]]) -> None:
    labels, predicted = np.array(photos).T
    sums = class_counts(labels, predicted, 4).sum(axis=0)
    assert accuracy(sums) == pytest.approx(accuracy_score(labels, predicted))
    present = np.unique(labels)
    recall = recall_score(labels, predicted, labels=present, average="macro", zero_division=0)
    assert balanced_accuracy(sums) == pytest.approx(recall)
    expected = np.full(4, np.nan)
    expected[present] = f1_score(labels, predicted, labels=present, average=None, zero_division=0)
    assert f1(sums) == pytest.approx(expected, nan_ok=True)


def test_many_sums_at_once() -> None:
    rng = np.random.default_rng(0)
    counts = class_counts(rng.integers(3, size=60), rng.integers(3, size=60), 3).reshape(5, 12, 3, 3).sum(axis=1)
    assert f1(counts).shape == (5, 3)
    for figure in (accuracy, balanced_accuracy, f1):
        assert figure(counts) == pytest.approx(np.array([figure(one) for one in counts]))


def test_no_photo_is_no_number() -> None:
    empty = np.zeros((3, 2))
    assert np.isnan([accuracy(empty), balanced_accuracy(empty), *f1(empty)]).all()
