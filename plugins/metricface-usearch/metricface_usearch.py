"""The graph of USearch as an index of MetricFace."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from annotated_types import Ge

from metricface.errors import PluginError, UsageError

if TYPE_CHECKING:
    from metricface.contracts import FloatArray, IntArray

NOBODY = -1


class USearch:
    """A graph in which a search walks from neighbour to neighbour, of the library USearch.

    Args:
        dim: D of the vectors.
        connectivity: links of each vector.
        expansion_add: candidates that are looked at where a vector is added.
        expansion_search: candidates that a search keeps.
        dtype: how vectors are kept: "f32" as they are, or "f16" in half precision ("i8" of USearch gives no cosines).

    Source:
        https://github.com/unum-cloud/usearch, Apache-2.0; Malkov and Yashunin, arXiv 1603.09320.
    """

    def __init__(
        self,
        *,
        dim: int,
        connectivity: Annotated[int, Ge(2)] = 16,
        expansion_add: Annotated[int, Ge(1)] = 128,
        expansion_search: Annotated[int, Ge(1)] = 64,
        dtype: Literal["f32", "f16"] = "f32",
    ) -> None:
        try:
            library: Any = importlib.import_module("usearch.index")
        except ImportError as error:
            raise PluginError("index usearch: usearch is not installed. Run: pip install usearch") from error
        self.search_grid: Mapping[str, Sequence[int]] = {"expansion_search": tuple(2**power for power in range(4, 10))}
        self._dim, self._next = dim, 0
        self._index = library.Index(
            ndim=dim,
            metric="ip",
            dtype=dtype,
            connectivity=connectivity,
            expansion_add=expansion_add,
            expansion_search=expansion_search,
        )

    def add(self, vectors: FloatArray) -> None:
        """Add vectors (N, D), one after the other: with several threads the graph would differ each time."""
        self._check(vectors)
        self._index.add(np.arange(self._next, self._next + len(vectors)), vectors, threads=1)
        self._next += len(vectors)

    def search(self, queries: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
        """Return similarities and ids (Q, K) of queries (Q, D)."""
        self._check(queries)
        if k < 1:
            raise UsageError(f"search: k must be 1 or more (got {k}). Ask for at least one neighbour.")
        similarities = np.full((len(queries), k), -np.inf, np.float32)
        ids = np.full((len(queries), k), NOBODY, np.int64)
        wanted = min(k, len(self._index))
        if not wanted or not len(queries):
            return similarities, ids
        found = self._index.search(queries, wanted)
        keys, distances = (np.atleast_2d(part) for part in (found.keys, found.distances))
        counts = np.atleast_1d(getattr(found, "counts", np.full(len(queries), wanted)))
        there = np.arange(wanted) < counts[:, None]
        ids[:, :wanted] = np.where(there, keys.astype(np.int64), NOBODY)
        similarities[:, :wanted] = np.where(there, 1 - distances, -np.inf)  # what USearch calls ip is 1 - the product
        return similarities, ids

    def tune(self, **values: int) -> None:
        """Set expansion_search."""
        if wrong := sorted(set(values) - set(self.search_grid)):
            raise UsageError(f"index usearch: has no search parameter {wrong[0]!r}. There are: expansion_search")
        for value in values.values():
            self._index.expansion_search = value

    def remove(self, ids: IntArray) -> int:
        """Take vectors out; the others keep their ids."""
        present = ids[np.atleast_1d(self._index.contains(ids))]
        self._index.remove(present)
        return len(present)

    def save(self, path: Path) -> None:
        """Write the graph as USearch does."""
        self._index.save(str(path))

    def load(self, path: Path) -> None:
        """Take what `save` wrote."""
        self._index.load(str(path))
        if self._index.ndim != self._dim:
            raise UsageError(
                f"{path}: is an index of {self._index.ndim} dimensions, not of {self._dim}. Build it anew."
            )
        self._next = int(self._index.keys[:].max()) + 1 if len(self._index) else 0

    def _check(self, vectors: FloatArray) -> None:
        if vectors.ndim != 2 or vectors.shape[1] != self._dim:
            raise UsageError(f"index usearch: takes (N, {self._dim}) (got {vectors.shape}). Embed all with one model.")
