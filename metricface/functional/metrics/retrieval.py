"""How well photos find others of their person: precision, R-precision, mean average precision, mINP and recall."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from metricface.errors import EvaluationError
from metricface.functional.metrics.match_ranks import MOST_IDS, PAIR_NUMBERS, RowsOfKeys, match_ranks, places_in_rows
from metricface.functional.metrics.ranking import MOST_MEMORY, NOBODY, blocks, check_dimensions, similarities_of

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_UNIT = 1.01e-3  # lengths may differ from 1 by 1e-3, as everywhere, and by the rounding of float32


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What became of the mated queries, those (Q,) that have a match in the gallery.

    R is the number of matches of a query, the photos of its person in the gallery. A match ranks behind all photos of
    others that are at least as similar to the query, so that ties never flatter. Every figure is in [0, 1], and a mean
    over queries is the figure of that name.

    Args:
        queries: (Q,) their places among all queries.
        unmated: how many queries have no match.
        first_rank: (Q,) rank of the nearest match.
        precision_at_1: 1 where the nearest photo is a match.
        r_precision: share of matches among the R nearest.
        map_at_r: sum over those of the R nearest that match of the precision at their rank, over R.
        map: average precision: mean over all matches of the precision at their rank.
        minp: inverse negative penalty: R over the rank of the farthest match.

    Source:
        map: Manning, Raghavan and Schuetze, Introduction to Information Retrieval, 2008, 8.4. map_at_r: Musgrave,
        Belongie and Lim, A Metric Learning Reality Check, arXiv 2003.08505, 3.2. minp: Ye et al., arXiv 2001.04193.
    """

    queries: Ints
    unmated: int
    first_rank: Ints
    precision_at_1: Floats
    r_precision: Floats
    map_at_r: Floats
    map: Floats
    minp: Floats

    def recall_at(self, k: int) -> Floats:
        """Return (Q,) 1 where a match is among the k nearest."""
        return (self.first_rank <= k).astype(np.float64)


FIGURES = tuple(field.name for field in fields(Retrieved)[3:])


def retrieve(
    queries: Vectors,
    query_labels: Ints,
    gallery: Vectors,
    gallery_labels: Ints,
    *,
    left_out: tuple[Ints, Ints] | None = None,
    max_memory: int = MOST_MEMORY,
) -> Retrieved:
    """Rank the gallery by cosine for every query.

    Args:
        queries: (N, D) float32, unit length.
        query_labels: (N,) the person of each; below 0 is nobody in particular, whom nothing matches.
        gallery: (G, D) float32, unit length; may be the queries themselves.
        gallery_labels: (G,).
        left_out: two keys of photos, (N,) and (G,): a query never meets the gallery photos that have its own key, for
            instance itself; a key below 0 is nobody's. None leaves nothing out.
        max_memory: bytes of similarities that are held at once.

    Raises:
        EvaluationError: lengths or dimensions do not fit, a vector is not of unit length, or no query has a match.

    Two photos each of two people, one of whom has a photo between the others':

    >>> vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]], np.float32)
    >>> itself = np.arange(4)
    >>> found = retrieve(vectors, np.array([0, 1, 0, 1]), vectors, np.array([0, 1, 0, 1]), left_out=(itself, itself))
    >>> found.first_rank.tolist(), found.map.tolist()
    ([2, 3, 3, 2], [0.5, 0.3333333333333333, 0.3333333333333333, 0.5])
    """
    _check(queries, query_labels, gallery, gallery_labels)
    keys = left_out or (np.full(len(queries), NOBODY), np.full(len(gallery), NOBODY))
    return _joined(_by_block(queries, gallery, (query_labels, gallery_labels), keys, max_memory), len(queries))


def retrieve_found(
    ids: Ints,
    query_labels: Ints,
    gallery_labels: Ints,
    *,
    left_out: tuple[Ints, Ints],
) -> Retrieved:
    """Return the figures of what an index has found; a match that it has not found is as far as can be.

    `map` and `minp`, which look at every match, are then lower bounds; the others are right where K is at least k, and
    R and the photos that are left out together.

    Args:
        ids: (N, K) gallery photos, the nearest first; below 0 for none.
        query_labels: (N,) the person of each query.
        gallery_labels: (G,).
        left_out: two keys of photos, see `retrieve`.

    Raises:
        EvaluationError: no query has a match in the gallery.
    """
    rows, photos = RowsOfKeys(gallery_labels).of(query_labels)
    met = ~_is_left_out(left_out, rows, photos)
    counts = np.bincount(rows[met], minlength=len(ids))
    everyone = np.broadcast_to(np.arange(len(ids))[:, None], ids.shape)
    seen = (ids >= 0) & ~_is_left_out(left_out, everyone, ids)
    matching = seen & (gallery_labels[ids] == query_labels[:, None]) & (query_labels >= 0)[:, None]
    missing = np.repeat(np.arange(len(ids)), counts - matching.sum(axis=1))
    rows = np.concatenate([everyone[matching], missing])
    ranks = np.concatenate([np.cumsum(seen, axis=1)[matching], len(gallery_labels) + places_in_rows(missing)])
    order = np.argsort(rows, kind="stable")
    return _joined([_figures(rows[order], ranks[order])] if len(rows) else [], len(ids))


def _is_left_out(keys: tuple[Ints, Ints], queries: Ints, photos: Ints) -> npt.NDArray[np.bool_]:
    """Return which queries never meet which photos, both given by their places."""
    own: npt.NDArray[np.bool_] = (keys[0][queries] == keys[1][photos]) & (keys[0][queries] >= 0)
    return own


def _joined(parts: Iterable[dict[str, Any]], queries: int) -> Retrieved:
    """Return the parts as one, given the number of all queries."""
    found = list(parts)
    if not found:
        raise EvaluationError("retrieval: no query has another photo of its person. Give people of two photos or more.")
    joined = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    return Retrieved(unmated=queries - len(joined["queries"]), **joined)


def _check(queries: Vectors, query_labels: Ints, gallery: Vectors, gallery_labels: Ints) -> None:
    check_dimensions(queries, gallery)
    if (len(queries), len(gallery)) != (len(query_labels), len(gallery_labels)):
        raise EvaluationError(
            f"retrieval: {len(queries)} queries with {len(query_labels)} labels, {len(gallery)} gallery photos with "
            f"{len(gallery_labels)}. Give one label for each."
        )
    assert len(gallery) <= MOST_IDS
    for of, vectors in (("query", queries), ("gallery", gallery)):
        lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
        wrong = np.flatnonzero(~(np.abs(lengths - 1) <= _UNIT))  # nan is not within either
        if len(wrong):
            raise EvaluationError(
                f"retrieval: {of} vector {wrong[0]} has length {lengths[wrong[0]]:.6g}, not 1 (got {len(wrong)} such "
                f"of {len(lengths)}). Divide each by its length."
            )


def _by_block(
    queries: Vectors, gallery: Vectors, labels: tuple[Ints, Ints], left_out: tuple[Ints, Ints], max_memory: int
) -> Iterator[dict[str, Any]]:
    """Yield the fields of `Retrieved` but unmated for some queries after the other."""
    same, own = RowsOfKeys(labels[1]), RowsOfKeys(left_out[1])
    memory: Vectors | None = None
    for block in blocks(len(queries), len(gallery) + PAIR_NUMBERS * same.most, max_memory):
        memory = np.empty((block.stop, len(gallery)), np.float32) if memory is None else memory
        similarity = similarities_of(queries[block], gallery, memory[: block.stop - block.start])
        similarity[own.of(left_out[0][block])] = -np.inf
        rows, ranks = match_ranks(queries[block], gallery, similarity, *same.of(labels[0][block]))
        if len(rows):
            yield _figures(rows + block.start, ranks)


def _figures(rows: Ints, ranks: Ints) -> dict[str, Any]:
    """Return the fields of `Retrieved` but unmated, given the row and the rank of every match; both ascend."""
    queries, starts, counts = np.unique(rows, return_index=True, return_counts=True)
    within = ranks <= np.repeat(counts, counts)
    precision = places_in_rows(rows) / ranks

    def per_query(values: Floats) -> Floats:
        mean: Floats = np.add.reduceat(values, starts) / counts
        return mean

    return {
        "queries": queries,
        "first_rank": ranks[starts],
        "precision_at_1": (ranks[starts] == 1).astype(np.float64),
        "r_precision": per_query(within.astype(np.float64)),
        "map_at_r": per_query(precision * within),
        "map": per_query(precision),
        "minp": counts / ranks[starts + counts - 1],
    }
