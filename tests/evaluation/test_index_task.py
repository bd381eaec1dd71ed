"""Who is in the gallery and who asks, and what an index is measured to lose."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from support.made_up import embeddings

from metricface.components.indexes.exact import Exact
from metricface.contracts import EmbeddingSet
from metricface.errors import DataError, EvaluationError
from metricface.evaluation.index_measure import K, is_needless, losses, reference, search_settings, speeds
from metricface.evaluation.index_task import SearchTask, search_task
from metricface.evaluation.synthetic_task import synthetic_task
from metricface.functional.metrics.index_loss import exact_truth
from metricface.functional.metrics.ranking import top_k


def rows_of(task_vectors: np.ndarray, given: EmbeddingSet) -> list[int]:
    places = {vector.tobytes(): row for row, vector in enumerate(given.vectors)}
    return [places[vector.tobytes()] for vector in task_vectors]


def test_no_probe_shows_a_photo_of_the_gallery_and_a_fifth_of_the_people_are_not_in_it() -> None:
    given = embeddings()
    task = search_task(given, seed=3)
    gallery, probes = rows_of(task.gallery, given), rows_of(task.probes, given)
    assert not set(given.sources[gallery]) & set(given.sources[probes])
    assert (given.conditions[gallery] == 0).all()
    assert len(gallery) == 16 * 2  # every second of four photos, of four people in five
    assert len(probes) == 20 * 2 * 3
    np.testing.assert_array_equal(task.gallery_people, given.labels[gallery])
    strangers = set(given.labels[probes]) - set(given.labels[gallery])
    assert len(strangers) == 4
    np.testing.assert_array_equal(task.mated, ~np.isin(given.labels[probes], list(strangers)))
    np.testing.assert_array_equal(task.probe_people[task.mated], given.labels[probes][task.mated])
    np.testing.assert_array_equal(task.conditions, given.conditions[probes])
    assert "20% of the people are not in the gallery (seed 3)" in task.about
    assert not np.array_equal(search_task(given, seed=4).gallery, task.gallery)


def test_photos_without_a_known_source_and_roles_and_probes_of_ones_own() -> None:
    plain = replace(embeddings(conditions=0), sources=np.full(80, ""))
    assert len(search_task(plain).gallery) == 16 * 2
    roles = np.where(np.arange(80) % 4 < 1, "gallery", np.where(np.arange(80) % 4 < 3, "probe", ""))
    by_role = search_task(replace(plain, attributes={"role": roles}))
    assert (len(by_role.gallery), len(by_role.probes), by_role.mated.all()) == (20, 40, True)
    others = replace(embeddings(people=3, seed=5), label_names=("p1", "p0", "nobody"))
    task = search_task(plain, others)
    assert (len(task.gallery), len(task.probes)) == (80, 36)
    np.testing.assert_array_equal(np.unique(task.probe_people), [-3, 0, 1])
    np.testing.assert_array_equal(task.probe_people[others.labels == 0], 1)
    with pytest.raises(DataError, match="have 8 dimensions, the gallery 16"):
        search_task(plain, replace(others, vectors=np.eye(36, 8, dtype=np.float32)[np.arange(36) % 8]))


def test_what_cannot_be_a_task_is_refused() -> None:
    alone = embeddings(photos=1, conditions=0)
    with pytest.raises(DataError, match=r"16 photos for the gallery and 0 probes\. Give people of two photos or more"):
        search_task(alone)
    with pytest.raises(EvaluationError, match="has length 2"):
        search_task(replace(alone, vectors=2 * alone.vectors))


class Forgets(Exact):
    """Exact search that never finds some vectors."""

    def __init__(self, forgotten: np.ndarray, **arguments) -> None:
        super().__init__(**arguments)
        self.forgotten = forgotten

    def search(self, queries, k):
        similarities, ids = super().search(queries, len(self._vectors))
        for row in range(len(ids)):
            kept = ~np.isin(ids[row], self.forgotten)
            ids[row, : kept.sum()], similarities[row, : kept.sum()] = ids[row][kept], similarities[row][kept]
            ids[row, kept.sum() :], similarities[row, kept.sum() :] = -1, -np.inf
        return similarities[:, :k], ids[:, :k]


def measured(index: Exact, task: SearchTask) -> dict:
    index.add(task.gallery)
    return losses(index, task, reference(task, exact_truth(task.probes, task.gallery, task.gallery_people, K)))


def test_exact_search_loses_nothing() -> None:
    task = search_task(embeddings(people=120, noise=0.5))
    found = measured(Exact(dim=16), task)
    assert [found[name] for name in ("recall@1", "recall@10", "recall@10_p5", "recall@10_worst")] == [1, 1, 1, 1]
    assert (found["rank1_lost"], found["tpir_lost"]) == (0, 0)
    assert 0 < found["tpir_exact"] <= found["rank1_exact"] < 1
    nearest = task.gallery_people[top_k(task.probes, task.gallery, 1)[1][:, 0]]
    assert found["rank1_exact"] == pytest.approx((nearest == task.probe_people)[task.mated].mean())


def test_losses_are_counted_by_hand() -> None:
    """Two of the people are forgotten: whom exact search finds right is lost, whom it confuses with them is won."""
    task = search_task(embeddings(people=120, noise=0.5))
    forgotten = np.flatnonzero(np.isin(task.gallery_people, np.unique(task.gallery_people)[:2]))
    found = measured(Forgets(forgotten, dim=16), task)
    cosines = task.probes @ task.gallery.T
    exact = task.gallery_people[cosines.argmax(axis=1)] == task.probe_people
    cosines[:, forgotten] = -np.inf
    after = task.gallery_people[cosines.argmax(axis=1)] == task.probe_people
    lost = exact.astype(float) - after
    assert found["rank1_lost"] == pytest.approx(lost[task.mated].mean())
    assert found["rank1_lost"] > 0
    low, high = found["rank1_lost_interval"]
    assert low <= found["rank1_lost"] <= high
    for number, name in enumerate(task.condition_names):
        part = found["by_condition"][name]
        chosen = task.mated & (task.conditions == number)
        assert (part["n"], part["rank1_lost"]) == (chosen.sum(), pytest.approx(lost[chosen].mean()))
    assert sum(part["n"] for part in found["by_margin"].values()) == task.mated.sum()
    assert set(found["by_margin"]) <= {"below 0.02", "0.02 to 0.05", "0.05 to 0.1", "0.1 and above"}
    assert found["recall@1"] < 1


def test_an_index_that_finds_nothing_is_wrong_everywhere() -> None:
    task = search_task(embeddings(people=120, noise=0.5))
    found = measured(Forgets(np.arange(len(task.gallery)), dim=16), task)
    assert (found["recall@10"], found["rank1_lost"]) == (0, found["rank1_exact"])


def test_a_task_that_cannot_resolve_the_rate_says_so() -> None:
    assert (
        "needs 100 probes of people who are not in the gallery (got 24)"
        in measured(Exact(dim=16), search_task(embeddings()))["tpir_refused"]
    )


def test_settings_come_from_quick_to_thorough_and_needless_ones_are_known() -> None:
    class Tuned(Exact):
        search_grid: ClassVar[dict[str, tuple[int, ...]]] = {"a": (1, 2), "b": (3, 4)}

        def tune(self, **values: int) -> None: ...

    found = list(search_settings(Tuned(dim=2)))
    assert found == [{"a": 1, "b": 3}, {"a": 1, "b": 4}, {"a": 2, "b": 3}, {"a": 2, "b": 4}]
    assert list(search_settings(Exact(dim=2))) == [{}]
    assert [is_needless(one, [{"a": 1, "b": 4}]) for one in found] == [False, False, False, True]


def test_speeds_of_batches_and_single_queries_are_apart() -> None:
    index, calls = Exact(dim=16), []
    index.add(embeddings().vectors)
    real = index.search
    index.search = lambda queries, k: (calls.append(len(queries)), real(queries, k))[1]
    found = speeds(index, embeddings().vectors, seconds=0.01)
    assert set(calls) == {1, 240}
    assert calls.count(240) == 1 + found["repeats"]
    assert calls.count(1) >= found["single_queries"] + 10
    assert found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"]


def test_made_up_people_are_found_nine_times_in_ten_whatever_the_seed() -> None:
    for seed in (0, 1):
        task = synthetic_task(3000, 24, seed=seed)
        assert (task.gallery.shape, len(task.probes), (~task.mated).sum()) == ((3000, 24), 300, 30)
        nearest = task.gallery_people[top_k(task.probes, task.gallery, 1)[1][:, 0]]
        assert (nearest == task.probe_people)[task.mated].mean() == pytest.approx(0.9, abs=0.03)
        np.testing.assert_allclose(np.linalg.norm(task.gallery, axis=1), 1, atol=1e-5)
        np.testing.assert_array_equal(synthetic_task(3000, 24, seed=seed).probes, task.probes)
    with pytest.raises(DataError, match="takes 100 vectors of 2 dimensions or more"):
        synthetic_task(99, 24)
