"""What the indexes of faiss share: inner product on unit vectors, training that suffices, ids that mean something."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from metricface.errors import ModelError, PluginError, RecipeError, UsageError
from metricface.functional.metrics.ranking import NOBODY

if TYPE_CHECKING:
    from metricface.contracts.arrays import FloatArray, IntArray

Device = Literal["cpu", "cuda"]
Refine = Literal["none", "flat", "fp16", "sq8"]

PER_CENTROID = 39
"""Vectors that k-means needs for each centroid: faiss warns below (ClusteringParameters.min_points_per_centroid)."""

PROBES = tuple(2**power for power in range(9))  # 1 to 256
_FACTORS = (1, 2, 4, 8, 16)
_REFINED = {"none": "", "flat": ",RFlat", "fp16": ",Refine(SQfp16)", "sq8": ",Refine(SQ8)"}
_LISTS = "{lists}"  # in a factory string, where the number of lists is chosen by the number of vectors
# What ParameterSpace of faiss calls our parameters.
_NAMES = {"probes": "nprobe", "ef_search": "efSearch", "refine_factor": "k_factor_rf"}


class FaissIndex:
    """An index of faiss by its factory string.

    Args:
        dim: D of the vectors.
        factory: what `faiss.index_factory` takes; "{lists}" stands for as many lists as the vectors allow, four times
            the square root of their number at most.
        search: parameters of a search and their values, see `search_grid`.
        grid: the values of each that are worth trying.
        build: parameters of faiss that are set before any vector is added, for instance efConstruction.
        exact: whether it compares with every vector as it is.
        device: "cuda" moves it to the first GPU (package faiss-gpu).

    Raises:
        PluginError: faiss is not installed, or there is no GPU for it. RecipeError: faiss does not take the string.
    """

    def __init__(
        self,
        *,
        dim: int,
        factory: str,
        search: Mapping[str, int] | None = None,
        grid: Mapping[str, Sequence[int]] | None = None,
        build: Mapping[str, float] | None = None,
        exact: bool = False,
        device: Device = "cpu",
    ) -> None:
        self.exact = exact
        self.search_grid = dict(grid or {})
        self._faiss, self._dim, self._device = faiss_module(device), dim, device
        self._factory, self._build, self._search = factory, dict(build or {}), dict(search or {})
        self._index: Any = None
        first = self._made(factory.replace(_LISTS, "1"))  # says at once what is wrong with the string
        if _LISTS not in factory:
            self._take(first)

    def train(self, vectors: FloatArray) -> None:
        """Find centroids and code books on vectors (N, D).

        Raises:
            UsageError: there are fewer than 39 for each centroid.
        """
        self._check(vectors)
        if self._index is None:
            lists = max(1, min(round(4 * len(vectors) ** 0.5), len(vectors) // PER_CENTROID))
            self._take(self._made(self._factory.replace(_LISTS, str(lists))))
        needed = PER_CENTROID * _centroids(self._faiss, self._index)
        if len(vectors) < needed:
            raise UsageError(
                f"index {self._factory}: has {needed // PER_CENTROID:,} centroids, which take {needed:,} vectors to "
                f"train ({PER_CENTROID} each; got {len(vectors):,}). Take fewer lists or bits, or an index without "
                "k-means such as flat, sq8 or hnsw."
            )
        if not self._index.is_trained:
            self._index.train(np.ascontiguousarray(vectors))

    def add(self, vectors: FloatArray) -> None:
        """Add vectors (N, D).

        Raises:
            UsageError: it has not been trained and needs to be.
        """
        self._check(vectors)
        if self._index is None or not self._index.is_trained:
            raise UsageError(f"index {self._factory}: has to be trained before vectors are added. Call train first.")
        self._index.add(np.ascontiguousarray(vectors))

    def search(self, queries: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
        """Return similarities and ids (Q, K) of queries (Q, D)."""
        self._check(queries)
        if k < 1:
            raise UsageError(f"search: k must be 1 or more (got {k}). Ask for at least one neighbour.")
        if self._index is None or not self._index.ntotal:
            nothing = np.full((len(queries), k), -np.inf, np.float32)
            return nothing, np.full((len(queries), k), NOBODY, np.int64)
        similarities, ids = self._index.search(np.ascontiguousarray(queries), k)
        similarities[ids == NOBODY] = -np.inf
        return similarities, ids

    def remove(self, ids: IntArray) -> int:
        """Take vectors out; the others keep their ids.

        Raises:
            UsageError: this index would number the others anew, or cannot take anything out.
        """
        if self._index is None or not isinstance(self._faiss.downcast_index(self._index), self._faiss.IndexIVF):
            raise UsageError(
                f"index {self._factory}: nothing can be taken out of it. Build it anew, or take ivf without refine."
            )
        return int(self._index.remove_ids(np.ascontiguousarray(ids, np.int64)))

    def tune(self, **values: int) -> None:
        """Set parameters of a search."""
        if wrong := sorted(set(values) - set(self.search_grid)):
            known = ", ".join(self.search_grid) or "none"
            raise UsageError(f"index {self._factory}: has no search parameter {wrong[0]!r}. There are: {known}")
        self._search.update(values)
        if self._index is not None:
            self._set(self._search)

    def save(self, path: Path) -> None:
        """Write the index as faiss does."""
        on_cpu = self._index if self._device == "cpu" else self._faiss.index_gpu_to_cpu(self._index)
        self._faiss.write_index(on_cpu, os.fspath(path))

    def load(self, path: Path) -> None:
        """Take what `save` wrote.

        Raises:
            ModelError: it is of another dimension, or not of inner products.
        """
        found = self._faiss.read_index(os.fspath(path))
        if found.d != self._dim or found.metric_type != self._faiss.METRIC_INNER_PRODUCT:
            raise ModelError(
                f"{path}: is an index of {found.d} dimensions and metric {found.metric_type}, not of {self._dim} and "
                "inner products. Build it anew."
            )
        self._take(self._moved(found))

    def _made(self, factory: str) -> Any:
        """Return an empty index."""
        try:
            found = self._faiss.index_factory(self._dim, factory, self._faiss.METRIC_INNER_PRODUCT)
        except RuntimeError as error:
            said = str(error).partition("Error: ")[2] or str(error)
            raise RecipeError(
                f"index {factory}: faiss cannot make it for {self._dim} dimensions ({' '.join(said.split())[:120]}). "
                "Its wiki lists factory strings; sub-vectors must divide the dimension."
            ) from error
        return self._moved(found)

    def _moved(self, index: Any) -> Any:
        if self._device == "cpu":
            return index
        return self._faiss.index_cpu_to_gpu(self._faiss.StandardGpuResources(), 0, index)

    def _take(self, index: Any) -> None:
        self._index = index
        self._set(self._build)
        self._set(self._search)

    def _set(self, values: Mapping[str, float]) -> None:
        space = self._faiss.ParameterSpace() if self._device == "cpu" else self._faiss.GpuParameterSpace()
        for name, value in values.items():
            space.set_index_parameter(self._index, _NAMES.get(name, name), value)

    def _check(self, vectors: FloatArray) -> None:
        if vectors.ndim != 2 or vectors.shape[1] != self._dim or vectors.dtype != np.float32:
            raise UsageError(
                f"index {self._factory}: takes float32 (N, {self._dim}) (got {vectors.dtype} {vectors.shape}). "
                "Embed queries and gallery with one model."
            )


def faiss_module(device: Device = "cpu") -> Any:
    """Return faiss.

    Raises:
        PluginError: it is not installed, or has no GPU.
    """
    try:
        faiss: Any = importlib.import_module("faiss")
    except ImportError as error:
        raise PluginError(
            "index: faiss is not installed. Run: pip install 'metricface[cpu]' (with a GPU 'metricface[gpu]', never "
            'both), or take name = "exact", which needs no package.'
        ) from error
    if device == "cuda" and not (hasattr(faiss, "index_cpu_to_gpu") and faiss.get_num_gpus()):
        raise PluginError(
            'index: device = "cuda" needs the package faiss-gpu and a GPU that it sees. Run: pip uninstall faiss-cpu; '
            "pip install 'metricface[gpu]'; or take \"cpu\"."
        )
    return faiss


def refined(factory: str, refine: Refine) -> str:
    """Return a factory string with a stage that computes the best candidates again from better vectors."""
    return factory + _REFINED[refine]


def grid_of(refine: Refine, **own: Sequence[int]) -> dict[str, Sequence[int]]:
    """Return a search grid, with the factor of refinement where there is any."""
    return {**own, **({} if refine == "none" else {"refine_factor": _FACTORS})}


def search_of(refine: Refine, factor: int, **own: int) -> dict[str, int]:
    """Return parameters of a search, with the factor of refinement where there is any."""
    return {**own, **({} if refine == "none" else {"refine_factor": factor})}


def _centroids(faiss: Any, index: Any) -> int:
    """Return the most centroids that k-means looks for anywhere in an index, 0 for none."""
    part = faiss.downcast_index(index)
    if isinstance(part, faiss.IndexRefine):
        return max(_centroids(faiss, part.base_index), _centroids(faiss, part.refine_index))
    if isinstance(part, faiss.IndexPreTransform):
        return _centroids(faiss, part.index)
    own = part.nlist if isinstance(part, faiss.IndexIVF) else 0
    quantizer = getattr(part, "pq", None)
    return max(own, 2**quantizer.nbits if quantizer is not None else 0)
