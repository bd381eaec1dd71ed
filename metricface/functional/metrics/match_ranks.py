"""The ranks of the matches of queries, exact and without sorting what is behind the farthest match.

The product of matrices says which photos of others may be ahead of a match. Where it cannot tell two apart (see
`ranking`), they are compared exactly, so that ranks depend neither on the size of blocks nor on the processor.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from metricface.functional.metrics.ranking import exactly, rounding

Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

PAIR_NUMBERS = 12
"""Numbers of 4 bytes that a match takes while it is ranked."""

_AT_ONCE = 2**19  # similarities that are looked through at once: they fit into the cache of a core
_ROWS = 32  # and of at most so many queries
_ID_BITS = 26  # of a key of 63 bits: 32 are for the similarity, and 5 for the row
_IDS = 2**_ID_BITS - 1

MOST_IDS = 2**_ID_BITS
"""Vectors that a gallery may have."""


class RowsOfKeys:
    """Which rows have a key."""

    def __init__(self, keys: Ints) -> None:
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        self.most = int(np.unique(keys[keys >= 0], return_counts=True)[1].max(initial=0))

    def of(self, keys: Ints) -> tuple[Ints, Ints]:
        """Return the pairs of a place among the keys (Q,) and a row that has its key; none for a key below 0."""
        first = np.searchsorted(self._keys, keys)
        last = np.where(keys < 0, first, np.searchsorted(self._keys, keys, "right"))
        return np.repeat(np.arange(len(keys)), last - first), self._order[_ranges(first, last)]


def match_ranks(queries: Vectors, gallery: Vectors, similarity: Vectors, rows: Ints, ids: Ints) -> tuple[Ints, Ints]:
    """Return the row of every match (P,), ascending, and its rank, ascending within a row.

    Args:
        queries: (Q, D).
        gallery: (G, D).
        similarity: (Q, G), -inf for what a query never meets; so are the matches afterwards.
        rows: (P,) ascending; with `ids` the pairs of one person.
        ids: (P,) in the gallery.
    """
    met = similarity[rows, ids] > -np.inf
    rows, ids = rows[met], ids[met]
    values = similarity[rows, ids]
    similarity[rows, ids] = -np.inf
    ranks = np.empty(len(rows), np.int64)
    step = max(1, min(_ROWS, _AT_ONCE // max(len(gallery), 1)))
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        own = slice(*np.searchsorted(rows, (start, start + step)))
        ranks[own] = _ranks_of_few(queries[part], gallery, similarity[part], rows[own] - start, ids[own], values[own])
    return rows, ranks


def _ranks_of_few(
    queries: Vectors, gallery: Vectors, similarity: Vectors, rows: Ints, ids: Ints, values: Vectors
) -> Ints:
    """Return the ranks of the matches of a few queries, given their similarities, and those of the others alone."""
    margin = np.float32(2 * rounding(queries.shape[1]))
    lowest = np.full(len(queries), np.inf, np.float32)
    np.minimum.at(lowest, rows, values)
    flat = np.flatnonzero(similarity >= (lowest - margin)[:, None])  # one sort does for all queries
    row_of = flat // len(gallery)
    others = np.sort(_keys(row_of, similarity.ravel()[flat], flat - row_of * len(gallery)))
    order = np.argsort(_keys(rows, values, ids))
    values, ids = values[order], ids[order]
    ahead = np.searchsorted(others, _keys(rows, values + margin))
    until = np.searchsorted(others, _keys(rows, values - margin, _IDS))
    close = np.flatnonzero(ahead < until)  # these the product of matrices cannot tell from some others
    if len(close):
        near = _ranges(np.maximum(ahead[close], np.append(0, until[close[:-1]])), until[close])
        of, id_of = others[near] >> (_ID_BITS + 32), others[near] & _IDS
        exact = np.sort(_keys(of, exactly(queries, gallery, of, id_of)))
        match = _keys(rows[close], exactly(queries, gallery, rows[close], ids[close]))
        ahead[close] += np.searchsorted(exact, match, "right") - np.searchsorted(near, ahead[close])
        ahead.sort()
    return ahead - np.searchsorted(row_of, rows) + places_in_rows(rows)


def _keys(rows: Ints, values: Vectors, ids: Ints | int = 0) -> Ints:
    """Return numbers in the order of rows, in a row of falling similarity, and among equal ones of the id."""
    bits = (0 - values).view(np.int32)  # -0.0 has become 0
    falling = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # an integer in the order of the float
    key: Ints = (((rows << 32) + falling + 2**31) << _ID_BITS) + ids
    return key


def _ranges(starts: Ints, stops: Ints) -> Ints:
    """Return the whole numbers of all ranges, one range after the other; one that stops before it starts is empty."""
    counts = np.maximum(stops - starts, 0)
    return np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())


def places_in_rows(rows: Ints) -> Ints:
    """Return the place (P,) of each among those of its row, from 1; rows ascend."""
    place: Ints = np.arange(1, len(rows) + 1) - np.searchsorted(rows, rows)
    return place
