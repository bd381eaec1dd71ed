from __future__ import annotations

import doctest
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from sklearn.metrics import average_precision_score

from metricface.errors import EvaluationError
from metricface.functional.metrics import match_ranks, retrieval
from metricface.functional.metrics.ranking import top_k
from metricface.functional.metrics.retrieval import FIGURES, Retrieved, retrieve, retrieve_found


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def clustered(rng: np.random.Generator, labels: np.ndarray, dim: int, noise: float) -> np.ndarray:
    centres = unit(rng.normal(size=(labels.max() + 1, dim)))
    return unit(centres[labels] + noise * rng.normal(size=(len(labels), dim)))


def by_full_sort(
    queries: np.ndarray, query_labels: np.ndarray, gallery: np.ndarray, labels: np.ndarray, keys: tuple | None
) -> list[dict[str, float]]:
    """The figures of every query from a whole sorted list, others before matches where they are equally similar."""
    found = []
    for query, vector in enumerate(queries.astype(np.float64)):
        meets = np.ones(len(gallery), bool)
        if keys is not None and keys[0][query] >= 0:
            meets = keys[1] != keys[0][query]
        similarity = (gallery[meets].astype(np.float64) @ vector).astype(np.float32)
        match = (labels[meets] == query_labels[query]) & (query_labels[query] >= 0)
        listed = match[np.lexsort((match, -similarity))]
        total = listed.sum()
        if not total:
            continue
        precision = np.cumsum(listed) / np.arange(1, len(listed) + 1)
        ranks = np.flatnonzero(listed) + 1
        found.append(
            {
                "queries": query,
                "first_rank": ranks[0],
                "precision_at_1": precision[0],
                "r_precision": precision[total - 1],
                "map_at_r": (precision * listed)[:total].sum() / total,
                "map": (precision * listed).sum() / total,
                "minp": total / ranks[-1],
            }
        )
    return found


def assert_equal(found: Retrieved, expected: list[dict[str, float]], queries: int) -> None:
    assert found.unmated == queries - len(expected)
    for name in ("queries", "first_rank"):
        assert getattr(found, name).tolist() == [query[name] for query in expected]
    for name in FIGURES:
        assert getattr(found, name) == pytest.approx([query[name] for query in expected], abs=1e-12)


def same(a: Retrieved, b: Retrieved) -> bool:
    return a.unmated == b.unmated and all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("queries", "first_rank", *FIGURES)
    )


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(2, 70),
    people=st.integers(1, 12),
    dim=st.sampled_from([1, 2, 3, 8, 65]),
    noise=st.sampled_from([0.0, 1e-7, 1e-3, 0.3]),
    leave_out=st.sampled_from(["nothing", "itself", "cameras"]),
    max_memory=st.sampled_from([1, 300, 3000, 2**28]),
)
def test_it_is_a_full_sort_in_float64_with_others_first_where_they_are_equal(
    seed: int, count: int, people: int, dim: int, noise: float, leave_out: str, max_memory: int
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, people, size=count)
    gallery = clustered(rng, rng.integers(people, size=count), dim, noise)
    chosen = np.flatnonzero(rng.random(count) < 0.7)
    keys = {"nothing": None, "itself": np.arange(count), "cameras": rng.integers(-1, 4, size=count)}[leave_out]
    left_out = None if keys is None else (keys[chosen], keys)
    expected = by_full_sort(gallery[chosen], labels[chosen], gallery, labels, left_out)
    if not expected:
        with pytest.raises(EvaluationError, match="no query has another photo"):
            retrieve(gallery[chosen], labels[chosen], gallery, labels, left_out=left_out)
        return
    with patch.object(match_ranks, "_AT_ONCE", 200):  # so that some queries are ranked together and some are not
        found = retrieve(gallery[chosen], labels[chosen], gallery, labels, left_out=left_out, max_memory=max_memory)
    assert_equal(found, expected, len(chosen))


def test_photos_of_others_that_are_twins_of_matches_rank_before_them_at_any_size() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(90), 11)
    gallery = clustered(rng, labels, 512, 0.05)
    twins = rng.permutation(len(gallery))[:300]
    gallery[twins] = gallery[rng.permutation(twins)]
    itself = np.arange(len(gallery))
    found = retrieve(gallery, labels, gallery, labels, left_out=(itself, itself))
    assert_equal(found, by_full_sort(gallery, labels, gallery, labels, (itself, itself)), len(gallery))
    for max_memory in (1, 10**5, 10**6):
        again = retrieve(gallery, labels, gallery, labels, left_out=(itself, itself), max_memory=max_memory)
        assert same(again, found)


@pytest.mark.parametrize(("people", "photos", "noise"), [(40, 10, 0.1), (200, 2, 0.08), (2, 90, 0.2), (30, 7, 1.0)])
def test_figures_are_those_of_pytorch_metric_learning(people: int, photos: int, noise: float) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(people), photos))
    vectors = clustered(np.random.default_rng(1), labels, 128, noise)
    itself = np.arange(len(labels))
    found = retrieve(vectors, labels, vectors, labels, left_out=(itself, itself))
    names = {
        "precision_at_1": "precision_at_1",
        "r_precision": "r_precision",
        "map_at_r": "mean_average_precision_at_r",
        "map": "mean_average_precision",
    }
    theirs = AccuracyCalculator(include=tuple(names.values()), k=None).get_accuracy(vectors, labels)
    for ours, name in names.items():
        assert getattr(found, ours).mean() == pytest.approx(theirs[name], abs=1e-6), name


def test_average_precision_is_that_of_scikit_learn_where_nothing_is_tied() -> None:
    rng = np.random.default_rng(5)
    labels = rng.integers(6, size=80)
    gallery, queries = clustered(rng, labels, 16, 0.5), clustered(rng, np.arange(6), 16, 0.1)
    found = retrieve(queries, np.arange(6), gallery, labels)
    expected = [average_precision_score(labels == person, gallery @ queries[person]) for person in range(6)]
    assert found.map == pytest.approx(expected)


def test_by_hand_with_ties() -> None:
    # Similarities to the query: 1 (another's), 0.8 (own and another's), 0.6 (own), 0 (another's).
    gallery = np.array([[1, 0], [0.8, 0.6], [0.8, -0.6], [0.6, 0.8], [0, 1]], np.float32)
    found = retrieve(np.array([[1, 0]], np.float32), np.array([7]), gallery, np.array([1, 7, 2, 7, 3]))
    assert found.first_rank.tolist() == [3]  # behind its tie
    assert found.precision_at_1.tolist() == [0]
    assert found.r_precision.tolist() == [0]
    assert found.map_at_r.tolist() == [0]
    assert found.map.tolist() == [(1 / 3 + 2 / 4) / 2]
    assert found.minp.tolist() == [2 / 4]
    assert [found.recall_at(k).tolist() for k in (1, 2, 3, 100)] == [[0], [0], [1], [1]]


def test_by_hand_map_at_r_counts_only_the_first_r_and_divides_by_r() -> None:
    angles = np.array([0.1, 0.2, 0.3, 0.4, 0.5])  # own, another's, own, own, another's
    gallery = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found = retrieve(np.array([[1, 0]], np.float32), np.array([0]), gallery, np.array([0, 1, 0, 0, 1]))
    assert found.r_precision == pytest.approx([2 / 3])
    assert found.map_at_r == pytest.approx([(1 + 2 / 3) / 3])
    assert found.map == pytest.approx([(1 + 2 / 3 + 3 / 4) / 3])
    assert found.minp == pytest.approx([3 / 4])


def test_photos_of_one_person_that_are_tied_are_no_tie() -> None:
    vectors = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    found = retrieve(vectors[:1], np.array([4]), vectors, np.array([4, 4, 4, 9]))
    assert [getattr(found, name).tolist() for name in FIGURES] == [[1]] * 5


def test_a_model_that_gives_everybody_one_vector_earns_nothing() -> None:
    vectors = np.full((400, 4), 0.5, np.float32)
    labels = np.repeat(np.arange(100), 4)
    itself = np.arange(400)
    found = retrieve(vectors, labels, vectors, labels, left_out=(itself, itself))
    assert set(found.first_rank.tolist()) == {397}
    assert found.precision_at_1.max() == found.r_precision.max() == found.map_at_r.max() == 0
    assert found.map[0] == pytest.approx((1 / 397 + 2 / 398 + 3 / 399) / 3)
    assert found.minp[0] == 3 / 399


def test_unmated_queries_are_counted_and_left_out_of_every_figure() -> None:
    vectors = np.eye(6, dtype=np.float32)
    labels = np.array([3, 5, 3, -1, -1, 8])  # 5 and 8 have one photo; -1 is nobody in particular
    itself = np.arange(6)
    found = retrieve(vectors, labels, vectors, labels, left_out=(itself, itself))
    assert found.queries.tolist() == [0, 2]
    assert found.unmated == 4
    assert all(len(getattr(found, name)) == 2 for name in FIGURES)


def test_a_person_whose_photos_are_all_left_out_is_unmated() -> None:
    vectors = np.eye(4, dtype=np.float32)
    labels, cameras = np.array([0, 0, 1, 1]), np.array([5, 5, 5, 6])
    found = retrieve(vectors, labels, vectors, labels, left_out=(cameras, cameras))
    assert found.queries.tolist() == [2, 3]
    assert found.unmated == 2
    # Photo 2 meets no photo of camera 5 and is alone with its match; photo 3 meets photos 0 and 1, tied with its match.
    assert found.first_rank.tolist() == [1, 3]


def test_a_key_below_zero_leaves_nothing_out() -> None:
    vectors, labels = np.eye(2, dtype=np.float32), np.array([0, 0])
    found = retrieve(vectors, labels, vectors, labels, left_out=(np.array([-1, -1]), np.array([-1, -1])))
    assert found.first_rank.tolist() == [1, 1]
    assert found.minp.tolist() == [1, 1]


def test_one_photo_per_person_has_no_figure() -> None:
    vectors, itself = np.eye(5, dtype=np.float32), np.arange(5)
    with pytest.raises(EvaluationError) as caught:
        retrieve(vectors, itself, vectors, itself, left_out=(itself, itself))
    assert str(caught.value) == (
        "retrieval: no query has another photo of its person. Give people of two photos or more."
    )


@pytest.mark.parametrize(("queries", "gallery"), [(0, 3), (3, 0), (0, 0)])
def test_without_queries_or_gallery_there_is_no_figure(queries: int, gallery: int) -> None:
    vectors, labels = np.eye(3, dtype=np.float32), np.zeros(3, np.int64)
    with pytest.raises(EvaluationError, match="no query has another photo of its person"):
        retrieve(vectors[:queries], labels[:queries], vectors[:gallery], labels[:gallery])


def test_lengths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(EvaluationError) as caught:
        retrieve(np.eye(3, dtype=np.float32), np.zeros(2), np.eye(3, dtype=np.float32), np.zeros(3))
    assert str(caught.value) == (
        "retrieval: 3 queries with 2 labels, 3 gallery photos with 3. Give one label for each."
    )
    with pytest.raises(EvaluationError, match=r"queries \(3, 3\) and gallery \(2, 2\) are not of one dimension"):
        retrieve(np.eye(3, dtype=np.float32), np.zeros(3), np.eye(2, dtype=np.float32), np.zeros(2))


@pytest.mark.parametrize("of", ["query", "gallery"])
@pytest.mark.parametrize(("value", "length"), [(np.nan, "nan"), (np.inf, "inf"), (2.0, "2"), (0.0, "0")])
def test_vectors_that_have_no_cosine_are_refused(of: str, value: float, length: str) -> None:
    vectors = {name: np.eye(4, dtype=np.float32) for name in ("query", "gallery")}
    vectors[of][[1, 3], [1, 3]] = value
    labels = np.zeros(4, np.int64)
    with pytest.raises(EvaluationError) as caught:
        retrieve(vectors["query"], labels, vectors["gallery"], labels)
    assert str(caught.value) == (
        f"retrieval: {of} vector 1 has length {length}, not 1 (got 2 such of 4). Divide each by its length."
    )


def test_inputs_are_left_as_they_are() -> None:
    labels = np.array([0, 0, 1, 1])
    vectors, itself = unit(np.random.default_rng(0).normal(size=(4, 3))), np.arange(4)
    before = vectors.copy()
    retrieve(vectors, labels, vectors, labels, left_out=(itself, itself))
    assert np.array_equal(vectors, before)


def test_its_examples_are_true() -> None:
    failed, tried = doctest.testmod(retrieval)
    assert (failed, tried > 0) == (0, True)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(2, 40),
    people=st.integers(1, 8),
    k=st.integers(1, 40),
    leave_out=st.sampled_from(["itself", "cameras"]),
)
def test_what_an_index_found_has_the_figures_of_a_full_sort_with_the_rest_as_far_as_can_be(
    seed: int, count: int, people: int, k: int, leave_out: str
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, people, size=count)
    keys = np.arange(count) if leave_out == "itself" else rng.integers(-1, 4, size=count)
    ids = np.stack([rng.permutation(count) for _ in range(count)])[:, :k]
    ids[rng.random(ids.shape) < 0.1] = -1
    expected: dict[int, list[int]] = {}
    for query in range(count):
        meets = [photo for photo in range(count) if keys[query] < 0 or keys[photo] != keys[query]]
        matches = [photo for photo in meets if labels[photo] == labels[query] >= 0]
        seen = [photo for photo in ids[query] if photo in meets]
        ranks = [place for place, photo in enumerate(seen, 1) if photo in matches]
        if matches:
            expected[query] = ranks + [count + 1 + more for more in range(len(matches) - len(ranks))]
    if not expected:
        with pytest.raises(EvaluationError, match="no query has another photo"):
            retrieve_found(ids, labels, labels, left_out=(keys, keys))
        return
    found = retrieve_found(ids, labels, labels, left_out=(keys, keys))
    assert found.unmated == count - len(expected)
    assert found.queries.tolist() == list(expected)
    assert found.first_rank.tolist() == [ranks[0] for ranks in expected.values()]
    average = [np.mean([place / rank for place, rank in enumerate(ranks, 1)]) for ranks in expected.values()]
    assert found.map == pytest.approx(average)
    within = [sum(rank <= len(ranks) for rank in ranks) / len(ranks) for ranks in expected.values()]
    assert found.r_precision == pytest.approx(within)


def test_a_whole_search_has_the_figures_of_retrieval() -> None:
    labels = np.repeat(np.arange(30), 4)
    vectors, itself = clustered(np.random.default_rng(2), labels, 32, 0.2), np.arange(120)
    ids = top_k(vectors, vectors, 120)[1]
    found = retrieve_found(ids, labels, labels, left_out=(itself, itself))
    assert same(found, retrieve(vectors, labels, vectors, labels, left_out=(itself, itself)))
