"""Exact nearest neighbours by cosine: a matrix product block by block, and a choice that knows nothing of blocks.

What a product of matrices in float32 gives for two vectors depends in its last digits on the processor, on the size of
the matrices and on the place in them: on many processors even two equal photos of a gallery differ. So the product only
says who may be among the nearest; what is close to the border is computed again by `exactly`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from metricface.errors import EvaluationError

MOST_MEMORY = 2**28
"""Bytes of similarities that are held at once, unless a caller says otherwise."""

NOBODY = -1
"""The id in a place for which the gallery has no vector left."""

_ROUNDOFF = 2.0**-24  # of float32
_AT_ONCE = 2**16  # numbers of float64 that fit into the cache of a core
_MANY = 16  # one pair in so many: from there on, the product of all of them is quicker
_CROWD = 4  # times the wanted candidates: then those that are not wanted are sorted out exactly
_FIRST = 4096  # gallery vectors that give the first threshold; each block after it may be as large as all before it

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def top_k(queries: Floats, gallery: Floats, k: int, *, max_memory: int = MOST_MEMORY) -> tuple[Floats, Ints]:
    """Return the K most similar gallery vectors of every query, the most similar first; of equal ones the lower id.

    Similarities are sums in float64, rounded to float32; equal are those that are equal then.

    Args:
        queries: (Q, D) float32, unit length.
        gallery: (G, D) float32, unit length; may be memory-mapped.
        k: how many are wanted of each, K.
        max_memory: bytes of similarities that are held at once.

    Returns:
        similarities (Q, K) float32 and ids (Q, K) int64; where K > G the rest is -inf and NOBODY.

    Raises:
        EvaluationError: k is below 1, the two are not of one dimension, or a vector is not finite.

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


def similarities_of(queries: Floats, gallery: Floats, out: Floats | None = None) -> Floats:
    """Return the similarities (Q, G) of all pairs, each within `rounding` of what `exactly` gives.

    Args:
        queries: (Q, D).
        gallery: (G, D).
        out: (Q, G) to write them into; touching new memory takes time.

    Raises:
        EvaluationError: a vector is not finite.
    """
    with np.errstate(invalid="ignore"):
        similarity: Floats = np.matmul(queries, gallery.T, out=out)  # (Q, D) @ (D, G) -> (Q, G)
    if not (np.isfinite(similarity[:1]).all() and np.isfinite(similarity[:, :1]).all()):  # nan spoils its row or column
        of = "gallery" if np.isfinite(queries).all() else "query"
        raise EvaluationError(f"search: a {of} vector is not finite. Take such photos out.")
    return similarity


def rounding(dim: int) -> float:
    """Return what a product of matrices in float32 may be off by for two unit vectors (D,).

    Source:
        Higham and Mary, A New Approach to Probabilistic Rounding Error Analysis, SIAM J. Sci. Comput. 41(5), 2019: the
        error of a sum of D terms grows as the square root of D. Twice that is five times the largest error in 10^7
        products of 512 dimensions.
    """
    return 2 * _ROUNDOFF * math.sqrt(dim)


def exactly(queries: Floats, gallery: Floats, rows: Ints, ids: Ints) -> Floats:
    """Return the similarities (P,) of pairs as sums in float64, rounded to float32.

    They depend on the two vectors alone, but for those that float64 itself rounds one way or the other: one in some
    10^8, and only where so many pairs are asked for that a product of matrices is quicker.

    Args:
        queries: (Q, D) float32.
        gallery: (G, D) float32.
        rows: (P,) of the queries.
        ids: (P,) in the gallery.
    """
    found = np.empty(len(rows), np.float32)
    if _MANY * len(rows) > len(queries) * len(gallery):
        for start in range(0, len(gallery), _FIRST):
            inside = np.flatnonzero((ids >= start) & (ids < start + _FIRST))
            if len(inside):
                product = queries.astype(np.float64) @ gallery[start : start + _FIRST].T.astype(np.float64)
                found[inside] = product[rows[inside], ids[inside] - start]
        return found
    step = max(1, _AT_ONCE // max(queries.shape[1], 1))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        found[part] = np.multiply(queries[rows[part]], gallery[ids[part]], dtype=np.float64).sum(axis=1)
    return found


def _of_block(queries: Floats, gallery: Floats, k: int, max_memory: int) -> tuple[Floats, Ints]:
    """Return the k <= G nearest of a few queries: what is below the k-th best so far is never looked at again."""
    border = np.full(len(queries), -np.inf, np.float32)
    margin = np.float32(2 * rounding(queries.shape[1]))
    rows, ids, values = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    start, most = 0, max(k, max_memory // (4 * len(queries)))
    while start < len(gallery):
        stop = min(len(gallery), start + min(most, max(start, _FIRST, k)))
        similarity = similarities_of(queries, gallery[start:stop])
        if start == 0:
            border = np.partition(similarity, stop - k, axis=1)[:, stop - k] - margin
        flat = np.flatnonzero(similarity >= border[:, None])
        own = flat // (stop - start)
        rows, values = np.concatenate([rows, own]), np.concatenate([values, similarity.ravel()[flat]])
        ids = np.concatenate([ids, flat - own * (stop - start) + start])
        if crowded := len(rows) > _CROWD * k * len(queries):
            values = exactly(queries, gallery, rows, ids)
        rows, ids, values, best = _in_order(rows, ids, values, k)
        border = values[best[:, -1]] - margin
        kept = best.ravel() if crowded else np.flatnonzero(values >= border[rows])
        rows, ids, values = rows[kept], ids[kept], values[kept]
        start = stop
    _, ids, values, best = _in_order(rows, ids, exactly(queries, gallery, rows, ids), k)
    return values[best], ids[best]


def _in_order(rows: Ints, ids: Ints, values: Floats, k: int) -> tuple[Ints, Ints, Floats, Ints]:
    """Return the candidates of all rows, the best of each first, and the places of every row's first k, (Q, K)."""
    order = np.lexsort((ids, -values, rows))
    rows = rows[order]
    firsts = np.searchsorted(rows, np.arange(rows[-1] + 1))
    return rows, ids[order], values[order], firsts[:, None] + np.arange(k)
