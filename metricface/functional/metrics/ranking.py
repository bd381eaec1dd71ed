"""Exact nearest neighbours by cosine: a matrix product, block by block, and a choice that knows nothing of blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from metricface.errors import EvaluationError

MOST_MEMORY = 2**28
"""Bytes of similarities that are held at once, unless a caller says otherwise."""

NOBODY = -1
"""The id in a place for which the gallery has no vector left."""

_FIRST = 4096  # gallery vectors that give the first threshold; each block after it may be as large as all before it

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def top_k(queries: Floats, gallery: Floats, k: int, *, max_memory: int = MOST_MEMORY) -> tuple[Floats, Ints]:
    """Return the K most similar gallery vectors of every query, the most similar first; of equal ones the lower id.

    Args:
        queries: (Q, D) float32, unit length.
        gallery: (G, D) float32, unit length; may be memory-mapped.
        k: how many are wanted of each, K.
        max_memory: bytes of similarities that are held at once.

    Returns:
        similarities (Q, K) float32 and ids (Q, K) int64; where K > G the rest is -inf and NOBODY.

    Raises:
        EvaluationError: k is below 1, or the two are not of one dimension.

    >>> similarities, ids = top_k(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)[[1, 0, 0]], 2)
    >>> ids.tolist()
    [[1, 2], [0, 1]]
    """
    check_dimensions(queries, gallery)
    if k < 1:
        raise EvaluationError(f"search: k must be 1 or more (got {k}). Ask for at least one neighbour.")
    similarities = np.full((len(queries), k), -np.inf, np.float32)
    ids = np.full((len(queries), k), NOBODY, np.int64)
    wanted = min(k, len(gallery))
    for block in blocks(len(queries), min(len(gallery), 8 * _FIRST), max_memory):
        if wanted:
            similarities[block, :wanted], ids[block, :wanted] = _of_block(queries[block], gallery, wanted, max_memory)
    return similarities, ids


def check_dimensions(queries: Floats, gallery: Floats) -> None:
    """Refuse queries and a gallery that have no matrix product."""
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
        raise EvaluationError(
            f"search: queries {queries.shape} and gallery {gallery.shape} are not of one dimension. "
            "Embed both with one model."
        )


def blocks(rows: int, columns: int, max_memory: int = MOST_MEMORY) -> Iterator[slice]:
    """Yield slices of rows so that float32 of a slice by columns fits into the memory; each has one row at least."""
    step = max(1, max_memory // (4 * max(columns, 1)))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _of_block(queries: Floats, gallery: Floats, k: int, max_memory: int) -> tuple[Floats, Ints]:
    """Return the k <= G nearest of a few queries: what is below the k-th best so far is never looked at again."""
    best = np.full(len(queries), -np.inf, np.float32)
    rows, ids, values = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    start, most = 0, max(k, max_memory // (4 * len(queries)))
    while start < len(gallery):
        stop = min(len(gallery), start + min(most, max(start, _FIRST, k)))
        similarity = queries @ gallery[start:stop].T  # (Q, D) @ (D, g) -> (Q, g)
        if start == 0:
            best = np.partition(similarity, stop - k, axis=1)[:, stop - k]
        flat = np.flatnonzero(similarity >= best[:, None])
        own = flat // (stop - start)
        rows, values = np.concatenate([rows, own]), np.concatenate([values, similarity.ravel()[flat]])
        ids = np.concatenate([ids, flat - own * (stop - start) + start])
        rows, values, ids = _kept(rows, values, ids, k)
        best = values.reshape(-1, k)[:, -1]
        start = stop
    return values.reshape(-1, k), ids.reshape(-1, k)


def _kept(rows: Ints, values: Floats, ids: Ints, k: int) -> tuple[Ints, Floats, Ints]:
    """Return the k best of every row, in order; each row has as many."""
    order = np.lexsort((ids, -values, rows))
    rows = rows[order]
    firsts = np.searchsorted(rows, np.arange(rows[-1] + 1))
    chosen = order[(firsts[:, None] + np.arange(k)).ravel()]
    return np.repeat(np.arange(len(firsts)), k), values[chosen], ids[chosen]
