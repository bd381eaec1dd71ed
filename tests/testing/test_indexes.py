"""Every check of an index finds the flaw that it is for, and nothing in a good index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.flaws import Flaws, assert_found, assert_good, own_checks

from metricface.components.indexes.exact import Exact
from metricface.testing import examine


class Good(Exact):
    """Exact search with everything that an index may have.

    Args:
        dim: D of the vectors.
        effort: how hard it looks, of no effect.
    """

    def __init__(self, *, dim: int, effort: int = 1) -> None:
        super().__init__(dim=dim)
        self.effort = effort
        self.search_grid = {"effort": (1, 2)}

    def train(self, vectors: np.ndarray) -> None: ...

    def tune(self, **values: int) -> None:
        from metricface.errors import UsageError

        if set(values) - {"effort"}:
            raise UsageError("no such parameter. There is: effort")


def flawed(**members: Any) -> type:
    return type("Flawed", (Good,), {"__doc__": Good.__doc__, **members})


def searching(change: Any) -> type:
    """Good, but for what `change` makes of what it finds."""

    def search(self: Good, queries: np.ndarray, k: int) -> Any:
        return change(self, queries, *Good.search(self, queries, k))

    return flawed(search=search)


def backwards(self: Good, queries: np.ndarray, similarities: np.ndarray, ids: np.ndarray) -> Any:
    return similarities[:, ::-1], ids[:, ::-1]


def random_search(self: Good, queries: np.ndarray, similarities: np.ndarray, ids: np.ndarray) -> Any:
    np.random.rand()
    return similarities, ids


def by_turns(self: Good, queries: np.ndarray, similarities: np.ndarray, ids: np.ndarray) -> Any:
    """Finds another order each time."""
    self.turn = not getattr(self, "turn", False)
    return (similarities, ids) if self.turn else (similarities, np.where(ids == ids[:, 9:], ids[:, 8:9], ids))


def nobody(self: Good, queries: np.ndarray, similarities: np.ndarray, ids: np.ndarray) -> Any:
    return similarities, np.full_like(ids, -1)


def cuts(self: Good, queries: np.ndarray, k: int) -> Any:
    return Good.search(self, queries[:, :128], k)


def zeros(self: Good, queries: np.ndarray, similarities: np.ndarray, ids: np.ndarray) -> Any:
    return np.maximum(similarities, -2), np.maximum(ids, 0)


def from_one(self: Good, vectors: np.ndarray) -> None:
    Good.add(self, vectors)
    self._ids = self._ids + (len(self._ids) > len(vectors))


def other_file(self: Good, path: Path) -> None:
    np.savez(path.open("wb"), vectors=-self._vectors, ids=self._ids, next=self._next)


def renumbers(self: Good, ids: np.ndarray) -> int:
    count = Good.remove(self, ids)
    self._ids = np.arange(len(self._ids))
    return count


def stops(self: Good, vectors: np.ndarray) -> None:
    if len(vectors) < 100:
        raise ValueError("too few")


def edits(self: Good, vectors: np.ndarray) -> None:
    Good.add(self, vectors.copy())
    vectors[0] = 0


FLAWS: Flaws = {
    "search": (searching(backwards), "similarities are not in descending order"),
    "finds": (
        searching(lambda self, queries, similarities, ids: (similarities, np.full_like(ids, -1))),
        "recall at 10",
    ),
    "few": (searching(zeros), "of 0 vectors and k = 5 it gives ids [0, 0, 0, 0, 0]"),
    "parts": (flawed(add=from_one), "the vector that was added as number 0 is found as 1"),
    "determinism": (searching(by_turns), "a search that is done again finds other ids"),
    "file": (flawed(save=other_file), "one that loads it finds other ids"),
    "tuning": (flawed(tune=lambda self, **values: None), "tune(no_such_parameter=1): is not refused"),
    "wrong vectors": (flawed(search=cuts), "search of 129 dimensions among 128: is not refused"),
    "training": (flawed(train=stops), "training on 20 vectors raises ValueError"),
    "inputs": (flawed(add=edits), "vectors are edited"),
    "random state": (searching(random_search), "generator of numpy.random"),
    "removal": (flawed(remove=renumbers), "a vector that was taken out is found"),
}


def test_a_good_index_passes() -> None:
    assert_good("index", Good)


def test_there_is_a_flaw_for_every_check() -> None:
    assert set(FLAWS) == own_checks("index")


@pytest.mark.parametrize("check", FLAWS)
def test_each_check_finds_its_flaw(check: str) -> None:
    assert_found("index", check, FLAWS)


def test_what_a_plain_index_lacks_is_skipped_with_the_reason() -> None:
    found = {it.name: it.said for it in examine("index", Exact).outcomes if it.status == "skipped"}
    assert found == {"tuning": "it has no search grid", "training": "it takes no training"}
