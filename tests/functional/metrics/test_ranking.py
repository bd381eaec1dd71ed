from __future__ import annotations

import doctest
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.errors import EvaluationError
from metricface.functional.metrics import ranking
from metricface.functional.metrics.ranking import NOBODY, blocks, exactly, rounding, similarities_of, top_k


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def gallery_with_twins(rng: np.random.Generator, count: int, dim: int) -> np.ndarray:
    """Vectors of which a third stand there twice, and others once more but for the last digit."""
    vectors = unit(rng.normal(size=(count, dim)))
    for changed in (np.float32(1), 1 + np.float32(2**-23)):
        vectors[rng.integers(count, size=count // 3)] = vectors[rng.integers(count, size=count // 3)] * changed
    return vectors


def full_sort(queries: np.ndarray, gallery: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    similarity = (queries.astype(np.float64) @ gallery.astype(np.float64).T).astype(np.float32)
    ids = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(similarity, ids, axis=1), ids


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    queries=st.integers(0, 9),
    gallery=st.integers(1, 90),
    dim=st.sampled_from([1, 2, 3, 8, 33, 128]),
    k=st.integers(1, 100),
    max_memory=st.sampled_from([1, 100, 1000, 2**28]),
)
def test_it_is_a_full_sort_in_float64_with_ties_by_the_lower_id(
    seed: int, queries: int, gallery: int, dim: int, k: int, max_memory: int
) -> None:
    rng = np.random.default_rng(seed)
    there = gallery_with_twins(rng, gallery, dim)
    asked = unit(there[rng.integers(gallery, size=queries)] + rng.integers(2, size=(queries, 1)) * 0.1)
    with patch.object(ranking, "_FIRST", 8):  # so that there are many blocks of the gallery
        similarities, ids = top_k(asked, there, k, max_memory=max_memory)
    expected, expected_ids = full_sort(asked, there, k)
    found = min(k, gallery)
    assert similarities.dtype == np.float32
    assert ids.dtype == np.int64
    assert np.array_equal(ids[:, :found], expected_ids)
    assert np.array_equal(similarities[:, :found], expected)
    assert (ids[:, found:] == NOBODY).all()
    assert (similarities[:, found:] == -np.inf).all()


def test_blocks_of_any_memory_and_a_query_alone_find_the_same_to_the_last_digit() -> None:
    rng = np.random.default_rng(0)
    gallery = gallery_with_twins(rng, 5001, 512)
    queries = unit(gallery[:20] + 0.03 * rng.normal(size=(20, 512)))
    expected = full_sort(queries, gallery, 10)
    for max_memory in (1, 10**5, 10**6, 10**7, 2**28):
        assert all(map(np.array_equal, top_k(queries, gallery, 10, max_memory=max_memory), expected))
    alone = [top_k(queries[[row]], gallery, 10) for row in range(20)]
    assert all(
        np.array_equal(np.concatenate(parts), whole)
        for parts, whole in zip(zip(*alone, strict=True), expected, strict=True)
    )


def test_of_equal_ones_the_lower_id_comes_first_also_at_the_border_of_k() -> None:
    gallery = np.array([[0, 1], [0.6, 0.8], [1, 0], [0.6, 0.8], [0.6, 0.8], [-1, 0]], np.float32)
    similarities, ids = top_k(np.array([[1, 0], [0, -1]], np.float32), gallery, 3)
    assert ids.tolist() == [[2, 1, 3], [2, 5, 1]]
    assert similarities.tolist() == [[1, np.float32(0.6), np.float32(0.6)], [0, 0, -np.float32(0.8)]]


def test_where_everybody_looks_the_same_order_is_still_that_of_exact_similarities() -> None:
    rng = np.random.default_rng(0)
    gallery = unit(np.ones((700, 64)) + 1e-6 * rng.normal(size=(700, 64)))
    gallery[300:] = gallery[:400]
    with patch.object(ranking, "_FIRST", 64):
        found = top_k(gallery[:20], gallery, 5)
    assert all(map(np.array_equal, found, full_sort(gallery[:20], gallery, 5)))


def test_all_equal_are_the_first_ids() -> None:
    same = np.tile(np.array([[0.5, 0.5, 0.5, 0.5]], np.float32), (5000, 1))
    similarities, ids = top_k(same[:2], same, 4)
    assert ids.tolist() == [[0, 1, 2, 3]] * 2
    assert (similarities == 1).all()


def test_an_empty_gallery_has_nobody_and_no_query_has_no_row() -> None:
    similarities, ids = top_k(np.eye(2, dtype=np.float32), np.empty((0, 2), np.float32), 3)
    assert ids.tolist() == [[NOBODY] * 3] * 2
    assert (similarities == -np.inf).all()
    assert top_k(np.empty((0, 2), np.float32), np.eye(2, dtype=np.float32), 3)[1].shape == (0, 3)


def test_the_gallery_may_be_a_file_in_memory(tmp_path: Path) -> None:
    gallery = gallery_with_twins(np.random.default_rng(3), 500, 16)
    np.save(tmp_path / "gallery.npy", gallery)
    found = top_k(gallery[:30], np.load(tmp_path / "gallery.npy", mmap_mode="r"), 7)
    assert all(map(np.array_equal, found, full_sort(gallery[:30], gallery, 7)))


@pytest.mark.parametrize("k", [0, -1])
def test_fewer_than_one_neighbour_is_refused(k: int) -> None:
    with pytest.raises(EvaluationError) as caught:
        top_k(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), k)
    assert str(caught.value) == f"search: k must be 1 or more (got {k}). Ask for at least one neighbour."


@pytest.mark.parametrize("shape", [(3, 5), (3,), (1, 3, 4)])
def test_other_dimensions_are_refused(shape: tuple[int, ...]) -> None:
    message = f"search: queries (2, 4) and gallery {shape} are not of one dimension. Embed both with one model."
    with pytest.raises(EvaluationError) as caught:
        top_k(np.zeros((2, 4), np.float32), np.zeros(shape, np.float32), 1)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("of", "row"), [("query", 0), ("query", 39), ("gallery", 0), ("gallery", 39)])
def test_what_is_not_finite_is_no_neighbour_but_an_error(of: str, row: int, value: float) -> None:
    vectors = {name: unit(np.random.default_rng(0).normal(size=(40, 3))) for name in ("query", "gallery")}
    vectors[of][row, 1] = value
    with patch.object(ranking, "_FIRST", 8), pytest.raises(EvaluationError) as caught:
        top_k(vectors["query"], vectors["gallery"], 2)
    assert str(caught.value) == f"search: a {of} vector is not finite. Take such photos out."


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), dim=st.integers(1, 600), rows=st.integers(1, 40), alike=st.booleans())
def test_a_product_of_matrices_is_not_off_by_more_than_its_rounding(
    seed: int, dim: int, rows: int, alike: bool
) -> None:
    rng = np.random.default_rng(seed)
    vectors = unit(rng.normal(size=(2 * rows, dim), loc=1 if alike else 0, scale=0.01 if alike else 1))
    queries, gallery = np.split(vectors, 2)
    exact = queries.astype(np.float64) @ gallery.astype(np.float64).T
    assert np.abs(similarities_of(queries, gallery) - exact).max() < rounding(dim)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), dim=st.integers(1, 600), pairs=st.integers(0, 60))
def test_a_pair_is_the_same_to_the_last_digit_whatever_else_is_asked_for(seed: int, dim: int, pairs: int) -> None:
    rng = np.random.default_rng(seed)
    queries, gallery = np.split(unit(rng.normal(size=(60, dim))), 2)
    rows, ids = rng.integers(30, size=(2, pairs))
    found = exactly(queries, gallery, rows, ids)
    assert found.tolist() == [exactly(queries, gallery, rows[[at]], ids[[at]])[0] for at in range(pairs)]
    products = queries.astype(np.float64)[rows] * gallery.astype(np.float64)[ids]
    assert found == pytest.approx(products.sum(axis=1), abs=2**-24)


@given(rows=st.integers(0, 50), columns=st.integers(0, 50), max_memory=st.integers(1, 4000))
def test_blocks_are_all_rows_in_order_and_fit_or_are_single(rows: int, columns: int, max_memory: int) -> None:
    found = list(blocks(rows, columns, max_memory))
    assert [row for block in found for row in range(block.start, block.stop)] == list(range(rows))
    assert all(
        block.stop - block.start == 1 or 4 * columns * (block.stop - block.start) <= max_memory for block in found
    )


def test_its_examples_are_true() -> None:
    failed, tried = doctest.testmod(ranking)
    assert (failed, tried > 0) == (0, True)
