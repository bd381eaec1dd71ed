"""Indexes of faiss: the same as bare calls, without their traps."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import faiss as bare
import numpy as np
import pytest

from metricface.components.indexes import _faiss
from metricface.components.indexes.faiss import faiss
from metricface.components.indexes.flat import flat
from metricface.components.indexes.fp16 import fp16
from metricface.components.indexes.hnsw import hnsw
from metricface.components.indexes.ivf import ivf
from metricface.components.indexes.ivf_pq import ivf_pq
from metricface.components.indexes.ivf_pq_fastscan import ivf_pq_fastscan
from metricface.components.indexes.ivf_rabitq import ivf_rabitq
from metricface.components.indexes.sq8 import sq8
from metricface.errors import ModelError, PluginError, RecipeError, UsageError

RNG = np.random.default_rng(0)
DIM, COUNT = 32, 2000


def unit(count: int, dim: int = DIM) -> np.ndarray:
    vectors = RNG.standard_normal((count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


VECTORS, QUERIES = unit(COUNT), unit(50)
TYPED = {
    "flat": (flat, {}, "Flat", {}),
    "fp16": (fp16, {}, "SQfp16", {}),
    "sq8": (sq8, {}, "SQ8", {}),
    "refined": (sq8, {"refine": "flat", "refine_factor": 3}, "SQ8,RFlat", {"k_factor_rf": 3}),
    "hnsw": (hnsw, {"neighbours": 16, "ef_search": 20}, "HNSW16", {"efConstruction": 80, "efSearch": 20}),
    "hnsw of bytes": (hnsw, {"storage": "sq8"}, "HNSW32_SQ8", {"efConstruction": 80, "efSearch": 64}),
    "ivf": (ivf, {"lists": 20, "probes": 4}, "IVF20,Flat", {"nprobe": 4}),
    "ivf auto": (ivf, {"storage": "fp16"}, "IVF51,SQfp16", {"nprobe": 16}),
    "ivf-pq": (
        ivf_pq,
        {"lists": 8, "sub_vectors": 8, "bits": 4, "refine": "none"},
        "IVF8,PQ8x4",
        {"nprobe": 16},
    ),
    "fastscan": (
        ivf_pq_fastscan,
        {"lists": 8, "sub_vectors": 16},
        "IVF8,PQ16x4fs,Refine(SQ8)",
        {"nprobe": 16, "k_factor_rf": 4},
    ),
    "rabitq": (ivf_rabitq, {"lists": 8, "refine": "none"}, "IVF8,RaBitQ", {"nprobe": 16}),
    "factory": (faiss, {"factory": "IVF8,SQ4", "search": {"probes": 3}}, "IVF8,SQ4", {"nprobe": 3}),
}


@pytest.mark.parametrize("name", TYPED)
def test_a_typed_index_finds_what_the_bare_calls_find(name: str) -> None:
    component, arguments, factory, parameters = TYPED[name]
    index = component(dim=DIM, **arguments)
    index.train(VECTORS)
    index.add(VECTORS)
    peer = bare.index_factory(DIM, factory, bare.METRIC_INNER_PRODUCT)
    space = bare.ParameterSpace()
    if "efConstruction" in parameters:
        space.set_index_parameter(peer, "efConstruction", parameters["efConstruction"])
    peer.train(VECTORS)
    peer.add(VECTORS)
    for key, value in parameters.items():
        space.set_index_parameter(peer, key, value)
    similarities, ids = index.search(QUERIES, 5)
    wanted = peer.search(QUERIES, 5)
    np.testing.assert_array_equal(ids, wanted[1])
    np.testing.assert_allclose(similarities, wanted[0])


def test_hnsw_is_of_inner_products_where_faiss_by_itself_is_of_distances() -> None:
    trap = bare.IndexHNSWFlat(DIM, 16)
    assert trap.metric_type == bare.METRIC_L2
    index = hnsw(dim=DIM, neighbours=16, ef_search=200)
    index.add(VECTORS)
    similarities, ids = index.search(VECTORS[:3], 1)
    np.testing.assert_array_equal(ids[:, 0], [0, 1, 2])
    np.testing.assert_allclose(similarities, 1, atol=1e-5)


def test_ids_that_faiss_has_not_found_are_minus_1_and_minus_infinity() -> None:
    index = ivf(dim=DIM, lists=20, probes=1)
    index.train(VECTORS)
    empty = index.search(QUERIES, 3)
    assert (empty[1] == -1).all()
    index.add(VECTORS[:4])
    similarities, ids = index.search(QUERIES, 3)
    assert (ids == -1).any()
    assert np.isneginf(similarities[ids == -1]).all()
    assert np.isfinite(similarities[ids != -1]).all()


def test_too_few_vectors_to_train_are_refused_with_the_number() -> None:
    with pytest.raises(UsageError) as caught:
        ivf(dim=DIM, lists=100).train(VECTORS)
    assert str(caught.value) == (
        "index IVF100,Flat: has 100 centroids, which take 3,900 vectors to train (39 each; got 2,000). Take fewer "
        "lists or bits, or an index without k-means such as flat, sq8 or hnsw."
    )
    with pytest.raises(UsageError, match=r"has 256 centroids, which take 9,984 vectors to train \(39"):
        ivf_pq(dim=DIM, lists=1, sub_vectors=8).train(VECTORS)
    ivf(dim=DIM, lists=51).train(VECTORS)


REFUSED = {
    "no such factory": (lambda: faiss(dim=DIM, factory="HNWS32"), RecipeError, "index HNWS32: faiss cannot make it"),
    "a dimension that is no multiple": (
        lambda: ivf_pq(dim=DIM, sub_vectors=7),
        RecipeError,
        "sub-vectors must divide the dimension.",
    ),
    "added before it is trained": (
        lambda: ivf(dim=DIM).add(VECTORS),
        UsageError,
        "has to be trained before vectors are",
    ),
    "another dimension": (
        lambda: flat(dim=DIM).add(unit(2, 8)),
        UsageError,
        "index Flat: takes float32 (N, 32) (got float32 (2, 8)). Embed queries and gallery with one model.",
    ),
    "doubles": (lambda: flat(dim=DIM).add(VECTORS.astype(float)), UsageError, "(got float64 (2000, 32))"),
    "no k": (lambda: flat(dim=DIM).search(QUERIES, 0), UsageError, "search: k must be 1 or more (got 0)"),
    "no such search parameter": (
        lambda: ivf(dim=DIM).tune(nprobe=3),
        UsageError,
        "has no search parameter 'nprobe'. There are: probes",
    ),
    "nothing can be taken out": (
        lambda: hnsw(dim=DIM).remove(np.array([0])),
        UsageError,
        "nothing can be taken out of it",
    ),
    "no GPU": (lambda: flat(dim=DIM, device="cuda"), PluginError, "needs the package faiss-gpu and a GPU that it sees"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_in_one_line(name: str) -> None:
    call, kind, said = REFUSED[name]
    with pytest.raises(kind) as caught:
        call()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_faiss_there_is_a_line_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(PluginError) as caught:
        flat(dim=DIM)
    assert caught.value.exit_code == 4
    assert str(caught.value) == (
        "index: faiss is not installed. Run: pip install 'metricface[cpu]' (with a GPU 'metricface[gpu]', never both), "
        'or take name = "exact", which needs no package.'
    )


def test_a_file_of_other_vectors_is_refused(tmp_path: Path) -> None:
    other = flat(dim=8)
    other.add(unit(10, 8))
    other.save(tmp_path / "i")
    with pytest.raises(ModelError, match="is an index of 8 dimensions and metric 0, not of 32 and inner products"):
        flat(dim=DIM).load(tmp_path / "i")
    bare.write_index(bare.IndexFlatL2(DIM), str(tmp_path / "l2"))
    with pytest.raises(ModelError, match="metric 1"):
        flat(dim=DIM).load(tmp_path / "l2")


def test_on_a_gpu_it_goes_there_and_comes_back_to_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for faiss-gpu that moves nothing."""
    moves = []
    names = {name: getattr(bare, name) for name in dir(bare) if not name.startswith("__")}
    names |= {
        "get_num_gpus": lambda: 1,
        "StandardGpuResources": lambda: "resources",
        "GpuParameterSpace": bare.ParameterSpace,
        "index_cpu_to_gpu": lambda resources, device, index: (moves.append(("to", resources, device)), index)[1],
        "index_gpu_to_cpu": lambda index: (moves.append(("back",)), index)[1],
    }
    fake = SimpleNamespace(**names)
    real = importlib.import_module
    monkeypatch.setattr(_faiss.importlib, "import_module", lambda name: fake if name == "faiss" else real(name))
    index = ivf(dim=DIM, lists=8, device="cuda")
    index.train(VECTORS)
    index.add(VECTORS)
    assert set(moves) == {("to", "resources", 0)}
    index.save(tmp_path / "i")
    assert moves[-1] == ("back",)
    plain = ivf(dim=DIM, lists=8)
    plain.load(tmp_path / "i")
    np.testing.assert_array_equal(plain.search(QUERIES, 3)[1], index.search(QUERIES, 3)[1])


def test_the_grid_of_a_factory_string_is_that_of_its_parts() -> None:
    assert list(faiss(dim=DIM, factory="IVF8,PQ8x4fs,RFlat").search_grid) == ["probes", "refine_factor"]
    assert list(faiss(dim=DIM, factory="HNSW8").search_grid) == ["ef_search"]
    assert list(faiss(dim=DIM, factory="IVF8_HNSW8,Flat").search_grid) == ["probes"]
    assert faiss(dim=DIM, factory="Flat").exact
