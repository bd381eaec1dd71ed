"""Photos that look for their person: figures by a plain sort, and by an index."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.made_up import embeddings

from metricface.components.evaluators.retrieval import Retrieval
from metricface.components.indexes.exact import Exact
from metricface.components.indexes.hnsw import hnsw
from metricface.contracts import IndexChoice, Item
from metricface.errors import DataError, EvaluationError

GIVEN = embeddings(noise=0.6)
EXACT = IndexChoice("exact", {}, lambda dim: Exact(dim=dim))


class Listed:
    def __init__(self, *items: Item) -> None:
        self.items, self.label_names, self.notices = items, ("a", "b"), ()

    def __len__(self) -> int:
        return len(self.items)

    def read(self, index: int) -> np.ndarray:
        raise AssertionError(index)


def by_hand(given=GIVEN, ks=(1, 5, 10)) -> dict[int, dict[str, float]]:
    """Figures of every query by sorting everything, of people with another clean photo."""
    found = {}
    for query in range(len(given.labels)):
        allowed = (given.conditions == 0) & (given.sources != given.sources[query])
        order = np.argsort(-(given.vectors @ given.vectors[query]), kind="stable")
        hits = given.labels[[one for one in order if allowed[one]]] == given.labels[query]
        matches = int(hits.sum())
        if matches == 0:
            continue
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        found[query] = {
            "precision_at_1": float(hits[0]),
            "r_precision": hits[:matches].mean(),
            "map_at_r": (precision * hits)[:matches].sum() / matches,
            "map": (precision * hits).sum() / matches,
            "minp": matches / (np.flatnonzero(hits)[-1] + 1),
            **{f"recall_at_{k}": float(hits[:k].any()) for k in ks},
        }
    return found


def mean(found: dict[int, dict[str, float]], name: str, chosen=None) -> float:
    return float(np.mean([figures[name] for query, figures in found.items() if chosen is None or chosen[query]]))


def test_every_figure_is_that_of_a_full_sort_over_all_and_by_condition() -> None:
    result, wanted = Retrieval().of(GIVEN), by_hand()
    (reading,) = result.joined()
    for name in next(iter(wanted.values())):
        assert reading.figures[name].value == pytest.approx(mean(wanted, name)), name
        assert reading.figures[name].n == len(wanted) == 240
    for number, condition in enumerate(GIVEN.condition_names):
        chosen = GIVEN.conditions == number
        assert reading.tables["condition"][condition]["map"].value == pytest.approx(mean(wanted, "map", chosen))
    low, high = reading.figures["precision_at_1"].interval
    assert low < reading.figures["precision_at_1"].value < high
    ranks = result.outcomes["rank"]
    assert [rank == 1 for rank in ranks] == [wanted[query]["precision_at_1"] == 1 for query in wanted]


def test_who_has_no_other_photo_is_counted_and_in_no_figure() -> None:
    """One photo each of five people more: nobody to find, but in everybody's way."""
    chosen = (GIVEN.labels < 15) | (np.char.endswith(GIVEN.sources, "/0"))
    fields = ("vectors", "norms", "labels", "conditions", "severities", "sources", "paths")
    few = replace(GIVEN, **{name: getattr(GIVEN, name)[chosen] for name in fields})
    figures, wanted = Retrieval().of(few).joined()[0].figures, by_hand(few)
    assert (figures["unmated"].value, figures["unmated"].n, figures["map"].n) == (15, 195, 180)
    assert figures["map"].value == pytest.approx(mean(wanted, "map"))
    alone = replace(few, labels=np.arange(len(few.labels)), label_names=tuple(map(str, range(195))))
    with pytest.raises(EvaluationError, match="no query has another photo of its person"):
        Retrieval().of(alone)


def test_photos_without_sources_and_with_roles() -> None:
    plain = embeddings(conditions=0, noise=0.6)
    bare = replace(plain, sources=np.full(80, ""))
    assert Retrieval().of(bare).metric("map") == pytest.approx(mean(by_hand(plain), "map"))
    roles = np.where(np.arange(80) % 4 == 0, "gallery", "probe")
    found = Retrieval().of(replace(plain, attributes={"role": roles}))
    assert (found.figure("map").n, found.figure("r_precision").value) == (60, found.metric("precision_at_1"))


def test_exact_search_by_an_index_gives_the_same_but_for_what_looks_at_every_match() -> None:
    plain, searched = Retrieval().of(GIVEN), Retrieval(index=EXACT).of(GIVEN)
    for name in ("precision_at_1", "r_precision", "map_at_r", "recall_at_1", "recall_at_5", "recall_at_10"):
        assert searched.metric(name) == pytest.approx(plain.metric(name))
    assert {refusal.figure for refusal in searched.refusals} == {"map", "minp"}
    assert "map" not in searched.figures()
    graph = IndexChoice("hnsw", {"neighbours": 8}, lambda dim: hnsw(dim=dim, neighbours=8))
    counts = Retrieval(index=graph).of(GIVEN).joined()[0].counts
    assert counts["photos searched with index hnsw (neighbours 8)"] == 80


def test_a_split_without_anybody_to_find_is_refused() -> None:
    clean = [Item(Path(f"{label}.png"), label) for label in (0, 1)]
    with pytest.raises(DataError, match=r"^retrieval: no photo has another of its person to find \(2 photos\)"):
        Retrieval().check(Listed(*clean))
    Retrieval().check(Listed(*clean, Item(Path("c.png"), 1)))
    foggy = Item(Path("d.png"), 1, condition="foggy")
    with pytest.raises(DataError, match=r"\(3 photos\)"):
        Retrieval().check(Listed(*clean, foggy))
    with pytest.raises(EvaluationError, match="has length 2"):
        Retrieval().of(replace(GIVEN, vectors=2 * GIVEN.vectors))
