"""How well photos find others of their person: precision, R-precision, mean average precision, mINP and recall."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from metricface.errors import EvaluationError
from metricface.functional.metrics.ranking import MOST_MEMORY, blocks, check_dimensions

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What became of the mated queries, those (Q,) that have a match in the gallery.

    R is the number of matches of a query, the photos of its person in the gallery; the rank of a match is 1 + the
    number of other photos at least as similar to the query, so that ties never flatter. Every figure is in [0, 1], and
    a mean over queries is the figure of that name.

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
        EvaluationError: lengths or dimensions do not fit, or no query has a match.

    Two photos each of two people, one of whom has a photo between the others':

    >>> vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]], np.float32)
    >>> itself = np.arange(4)
    >>> found = retrieve(vectors, np.array([0, 1, 0, 1]), vectors, np.array([0, 1, 0, 1]), left_out=(itself, itself))
    >>> found.first_rank.tolist(), found.map.tolist()
    ([2, 3, 3, 2], [0.5, 0.3333333333333333, 0.3333333333333333, 0.5])
    """
    check_dimensions(queries, gallery)
    if (len(queries), len(gallery)) != (len(query_labels), len(gallery_labels)):
        raise EvaluationError(
            f"retrieval: {len(queries)} queries with {len(query_labels)} labels, {len(gallery)} gallery photos with "
            f"{len(gallery_labels)}. Give one label for each."
        )
    same = _Rows(gallery_labels)
    none = np.full(len(gallery), -1, np.int64)
    query_keys, gallery_keys = left_out or (np.full(len(queries), -1, np.int64), none)
    own = _Rows(gallery_keys)
    found: list[tuple[int, Ints]] = []
    for block in blocks(len(queries), len(gallery), max_memory):
        similarity = queries[block] @ gallery.T  # (q, D) @ (D, G) -> (q, G)
        for query, row in enumerate(similarity, block.start):
            ranks = _ranks(row, same.of(query_labels[query]), own.of(query_keys[query]))
            if len(ranks):
                found.append((query, ranks))
    return _figures(_some(found), len(queries))


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
    same, own = _Rows(gallery_labels), _Rows(left_out[1])
    found: list[tuple[int, Ints]] = []
    for query, row in enumerate(ids):
        hidden = own.of(left_out[0][query])
        matches = np.setdiff1d(same.of(query_labels[query]), hidden)
        if not len(matches):
            continue
        seen = row[(row >= 0) & ~np.isin(row, hidden)]
        places = np.flatnonzero(np.isin(seen, matches)) + 1
        missing = len(gallery_labels) + np.arange(1, len(matches) - len(places) + 1)
        found.append((query, np.concatenate([places, missing])))
    return _figures(_some(found), len(ids))


def _some(found: list[tuple[int, Ints]]) -> list[tuple[int, Ints]]:
    if not found:
        raise EvaluationError("retrieval: no query has another photo of its person. Give people of two photos or more.")
    return found


class _Rows:
    """Which rows have a key."""

    def __init__(self, keys: Ints) -> None:
        self._order = np.argsort(keys, kind="stable")
        self._known, starts = np.unique(keys[self._order], return_index=True)
        self._parts = dict(zip(self._known.tolist(), np.split(self._order, starts[1:]), strict=False))
        self._none = np.empty(0, np.int64)

    def of(self, key: np.int64) -> Ints:
        """Return the rows of a key, in order; none for one below 0."""
        return self._parts.get(int(key), self._none) if key >= 0 else self._none


def _ranks(row: Vectors, same: Ints, own: Ints) -> Ints:
    """Return the ranks (R,) of a query's matches, ascending, given its similarities (G,), which are overwritten."""
    row[own] = -np.inf
    matches = row[same]
    matches = matches[matches > -np.inf]
    if not len(matches):
        return np.empty(0, np.int64)
    matches.sort()
    row[same] = -np.inf
    ahead = row[row >= matches[0]]  # others at least as similar as the farthest match
    ahead.sort()
    others = len(ahead) - np.searchsorted(ahead, matches[::-1])
    return others + np.arange(1, len(matches) + 1)


def _figures(found: list[tuple[int, Ints]], queries: int) -> Retrieved:
    """Return the figures of the mated queries, given each one's place and ranks."""
    counts = np.array([len(ranks) for _, ranks in found])
    ranks = np.concatenate([ranks for _, ranks in found])
    starts = np.cumsum(counts) - counts
    places = np.arange(len(ranks)) - np.repeat(starts, counts) + 1  # of a match among its query's
    within = ranks <= np.repeat(counts, counts)
    precision = places / ranks

    def per_query(values: Floats) -> Floats:
        mean: Floats = np.add.reduceat(values, starts) / counts
        return mean

    return Retrieved(
        queries=np.array([query for query, _ in found], np.int64),
        unmated=queries - len(found),
        first_rank=ranks[starts],
        precision_at_1=(ranks[starts] == 1).astype(np.float64),
        r_precision=per_query(within.astype(np.float64)),
        map_at_r=per_query(precision * within),
        map=per_query(precision),
        minp=counts / ranks[starts + counts - 1],
    )
