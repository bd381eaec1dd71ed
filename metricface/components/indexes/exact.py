"""Every vector compared with every query; needs no other package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from annotated_types import Gt

from metricface.errors import EvaluationError
from metricface.functional.metrics.ranking import NOBODY, blocks, check_dimensions, top_k
from metricface.machine import choose_device

if TYPE_CHECKING:
    from metricface.contracts.arrays import FloatArray, IntArray


class Exact:
    """The cosine of every vector and every query, block by block: what other indexes are measured against.

    Of equally similar vectors the one of the lower id comes first.

    Args:
        dim: D of the vectors.
        max_memory: MiB of similarities that are held at once.
        device: where to compute: "cpu" with numpy, "cuda" with torch, where equal ones come in any order.
    """

    exact = True

    def __init__(
        self, *, dim: int, max_memory: Annotated[float, Gt(0)] = 256.0, device: Literal["cpu", "cuda"] = "cpu"
    ) -> None:
        self._max_memory = int(max_memory * 2**20)
        self._device = choose_device(device, "index device")
        self._vectors: FloatArray = np.empty((0, dim), np.float32)
        self._ids: IntArray = np.empty(0, np.int64)
        self._next = 0
        self._on_device: Any = None

    def add(self, vectors: FloatArray) -> None:
        """Add vectors (N, D)."""
        check_dimensions(vectors, self._vectors)
        self._vectors = np.concatenate([self._vectors, vectors]) if len(self._vectors) else vectors
        self._ids = np.append(self._ids, np.arange(self._next, self._next + len(vectors)))
        self._next += len(vectors)
        self._on_device = None

    def search(self, queries: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
        """Return similarities and ids (Q, K) of queries (Q, D)."""
        search = top_k if self._device.type == "cpu" else self._search_on_device
        similarities, places = search(queries, self._vectors, k, max_memory=self._max_memory)
        ids = np.append(self._ids, NOBODY)[places]  # place -1 is nobody
        return similarities, ids

    def remove(self, ids: IntArray) -> int:
        """Take vectors out; the others keep their ids."""
        gone = np.isin(self._ids, ids)
        self._vectors, self._ids, self._on_device = self._vectors[~gone], self._ids[~gone], None
        return int(gone.sum())

    def save(self, path: Path) -> None:
        """Write vectors and ids."""
        with path.open("wb") as file:
            np.savez(file, vectors=self._vectors, ids=self._ids, next=self._next)

    def load(self, path: Path) -> None:
        """Take what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            check_dimensions(stored["vectors"], self._vectors)
            self._vectors, self._ids, self._next = stored["vectors"], stored["ids"], int(stored["next"])
        self._on_device = None

    def _search_on_device(
        self, queries: FloatArray, vectors: FloatArray, k: int, *, max_memory: int
    ) -> tuple[FloatArray, IntArray]:
        """Do as `top_k` does, with torch."""
        import torch

        check_dimensions(queries, vectors)
        if k < 1:
            raise EvaluationError(f"search: k must be 1 or more (got {k}). Ask for at least one neighbour.")
        if self._on_device is None:
            self._on_device = torch.from_numpy(np.ascontiguousarray(vectors)).to(self._device)
        similarities = np.full((len(queries), k), -np.inf, np.float32)
        places = np.full((len(queries), k), NOBODY, np.int64)
        wanted = min(k, len(vectors))
        for block in blocks(len(queries), len(vectors), max_memory):
            given = torch.from_numpy(np.ascontiguousarray(queries[block])).to(self._device)
            found = (given @ self._on_device.T).topk(wanted, dim=1)  # (q, D) @ (D, N) -> (q, N)
            similarities[block, :wanted] = found.values.cpu().numpy()
            places[block, :wanted] = found.indices.cpu().numpy()
        return similarities, places
