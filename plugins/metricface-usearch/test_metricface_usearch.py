from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from metricface_usearch import USearch

from metricface.components.registry import Registry
from metricface.contracts import KINDS
from metricface.errors import PluginError, UsageError
from metricface.functional.metrics.ranking import top_k
from metricface.testing import check_index


def unit(count: int, dim: int = 32, seed: int = 0) -> npt.NDArray[np.float32]:
    vectors = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    found: npt.NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return found


@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_it_keeps_the_contract(dtype: str) -> None:
    check_index(USearch, dtype=dtype)


def test_the_command_finds_it_by_name() -> None:
    assert Registry(KINDS["index"]).load("metricface-usearch:usearch") is USearch


def test_similarities_are_cosines_and_nearly_all_neighbours_are_found() -> None:
    vectors, queries = unit(2000), unit(50, seed=1)
    index = USearch(dim=32)
    index.add(vectors)
    index.tune(expansion_search=512)
    similarities, ids = index.search(queries, 5)
    np.testing.assert_allclose(similarities, np.einsum("qd,qkd->qk", queries, vectors[ids]), atol=1e-5)
    assert (ids == top_k(queries, vectors, 5)[1]).mean() > 0.98


def test_what_it_cannot_take_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = USearch(dim=32)
    with pytest.raises(UsageError, match=r"index usearch: takes \(N, 32\) \(got \(2, 8\)\)\. Embed all"):
        index.add(unit(2, 8))
    with pytest.raises(UsageError, match=r"has no search parameter 'ef'\. There are: expansion_search"):
        index.tune(ef=3)
    other = USearch(dim=8)
    other.add(unit(4, 8))
    other.save(tmp_path / "i")
    with pytest.raises(UsageError, match="is an index of 8 dimensions, not of 32"):
        index.load(tmp_path / "i")
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(PluginError, match=r"usearch is not installed\. Run: pip install usearch"):
        USearch(dim=32)
