"""What an index loses against exact search: vectors, and identities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metricface.errors import EvaluationError
from metricface.functional.metrics.ranking import NOBODY, top_k

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

TIE = 1e-6
"""Two cosines closer than this are equal: the rounding of a float32 product of unit vectors."""

_BLOCK = 2**22  # numbers of neighbours that are held at once


@dataclass(frozen=True, slots=True)
class Truth:
    """What exact search finds.

    Args:
        cosines: (Q, K) float32, the highest first.
        ids: (Q, K) int64.
        margins: (Q,) float64, the cosine of the nearest person less that of the second one; inf where there is none.
    """

    cosines: Vectors
    ids: Ints
    margins: Floats


def exact_truth(queries: Vectors, gallery: Vectors, people: Ints, k: int) -> Truth:
    """Search exactly.

    Args:
        queries: (Q, D) float32, unit length.
        gallery: (G, D) float32, unit length.
        people: (G,) the person of each.
        k: K, at most G.
    """
    deep = min(len(gallery), max(k, int(np.bincount(people).max()) + 1))  # deep enough to see a second person
    cosines, ids = top_k(queries, gallery, deep)
    others = people[ids] != people[ids[:, :1]]
    second = np.where(others, cosines, -np.inf).max(axis=1)
    margins = cosines[:, 0].astype(np.float64) - second
    k = min(k, len(gallery))
    return Truth(cosines[:, :k], ids[:, :k], margins)


def scored_again(queries: Vectors, gallery: Vectors, ids: Ints) -> Vectors:
    """Return the exact cosines (Q, K) of what an index has found, -inf for NOBODY."""
    found = np.full(ids.shape, -np.inf, np.float32)
    step = max(1, _BLOCK // (gallery.shape[1] * ids.shape[1]))
    for start in range(0, len(ids), step):
        some = slice(start, start + step)
        exact = np.einsum("qd,qkd->qk", queries[some], gallery[ids[some]])
        found[some] = np.where(ids[some] == NOBODY, -np.inf, exact)
    return found


def recall(found: Vectors, truth: Vectors, k: int) -> Floats:
    """Return (Q,) the share of the k nearest that were found, equally similar ones counted as hits.

    Args:
        found: (Q, K) exact cosines of what was found, in any order; -inf for nothing.
        truth: (Q, K) those of the nearest, the highest first.
        k: at most K; where the gallery has fewer, all of them.
    """
    k = min(k, truth.shape[1])
    hits = (np.sort(found, axis=1)[:, ::-1][:, :k] >= truth[:, k - 1 : k] - TIE).sum(axis=1)
    share: Floats = hits / k
    return share


def open_set_threshold(highest: Vectors, rate: float) -> float:
    """Return the lowest threshold above which at most `rate` of the non-mated probes come.

    Args:
        highest: (n,) the highest cosine of each probe of a person who is not in the gallery.
        rate: FPIR, a fraction in (0, 1).

    Raises:
        EvaluationError: n x rate is below 1, so that the probes cannot resolve it.

    Source:
        ISO/IEC 19795-1 (false positive identification rate), with a tie counted as below.
    """
    allowed = int(np.floor(len(highest) * rate + 1e-9))
    if allowed < 1:
        raise EvaluationError(
            f"FPIR {rate:g}: needs {int(np.ceil(1 / rate))} probes of people who are not in the gallery (got "
            f"{len(highest)}). Give more, or a higher rate."
        )
    return float(np.sort(highest)[::-1][min(allowed, len(highest) - 1)])
