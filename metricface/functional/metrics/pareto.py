"""Which of several compromises no other one beats."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def undominated(points: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return (N,) whether no other point is at least as good in every respect and better in one.

    Args:
        points: (N, M), higher is better in each of M respects. Equal points do not dominate each other.

    >>> undominated(np.array([[1.0, 3.0], [2.0, 2.0], [1.0, 2.0], [2.0, 2.0]])).tolist()
    [True, True, False, True]
    """
    better = np.any(points[None] > points[:, None], axis=2)  # [i, j]: j is better than i somewhere
    worse = np.any(points[None] < points[:, None], axis=2)
    dominated: npt.NDArray[np.bool_] = np.any(better & ~worse, axis=1)
    return ~dominated
