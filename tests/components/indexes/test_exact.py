"""Exact search: the order of ties, ids that stay, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from metricface.components.indexes.exact import Exact
from metricface.errors import EvaluationError, RecipeError

EYE = np.eye(4, dtype=np.float32)


def filled(*parts: np.ndarray) -> Exact:
    index = Exact(dim=4)
    for part in parts:
        index.add(part)
    return index


def test_equal_ones_come_by_their_ids_and_what_is_not_there_is_nobody() -> None:
    similarities, ids = filled(EYE[[1, 0]], EYE[[0, 0]]).search(EYE[:1], 6)
    assert ids.tolist() == [[1, 2, 3, 0, -1, -1]]
    assert similarities[0, :4].tolist() == [1, 1, 1, 0]
    assert np.isneginf(similarities[0, 4:]).all()
    assert (Exact(dim=4).search(EYE, 2)[1] == -1).all()


def test_who_is_taken_out_is_not_found_and_the_others_keep_their_ids(tmp_path: Path) -> None:
    index = filled(EYE)
    assert index.remove(np.array([1, 7])) == 1
    index.add(EYE[1:2])
    assert index.search(EYE, 1)[1].ravel().tolist() == [0, 4, 2, 3]
    index.save(tmp_path / "i")
    again = Exact(dim=4)
    again.load(tmp_path / "i")
    assert again.search(EYE, 1)[1].ravel().tolist() == [0, 4, 2, 3]
    again.add(EYE[:1])
    assert again.search(EYE[:1], 2)[1].tolist() == [[0, 5]]


def test_blocks_of_any_size_give_the_same() -> None:
    vectors = np.random.default_rng(0).standard_normal((3000, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    small, large = Exact(dim=4, max_memory=0.001), Exact(dim=4)
    for index in (small, large):
        index.add(vectors)
    for ours, theirs in zip(small.search(vectors[:40], 7), large.search(vectors[:40], 7), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_it_cannot_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"queries \(1, 3\) and gallery \(4, 4\) are not of one dimension"):
        filled(EYE).search(np.ones((1, 3), np.float32), 1)
    with pytest.raises(EvaluationError, match="not of one dimension"):
        Exact(dim=4).add(np.ones((1, 3), np.float32))
    with pytest.raises(EvaluationError, match=r"k must be 1 or more \(got 0\)"):
        filled(EYE).search(EYE, 0)
    filled(EYE).save(tmp_path / "i")
    with pytest.raises(EvaluationError, match="not of one dimension"):
        Exact(dim=3).load(tmp_path / "i")
    with pytest.raises(RecipeError, match="index device: 'cuda' is not on this machine"):
        Exact(dim=4, device="cuda")
