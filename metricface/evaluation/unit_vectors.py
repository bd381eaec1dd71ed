"""What every evaluator of embeddings may take for granted: finite vectors of length 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricface.errors import EvaluationError

if TYPE_CHECKING:
    from metricface.contracts import EmbeddingSet

TOLERANCE = 1e-3
"""Lengths may differ from 1 by this: more than the rounding of half precision, less than any vector as it came."""


def check_unit_vectors(embeddings: EmbeddingSet) -> None:
    """Refuse vectors (N, D) that a cosine cannot be taken of: NaN compares as neither near nor far, and would be right.

    Raises:
        EvaluationError: a vector is not finite or not of length 1; names the first such photo.
    """
    lengths = np.linalg.norm(embeddings.vectors.astype(np.float64), axis=1)
    bad = np.flatnonzero(~(np.abs(lengths - 1) <= TOLERANCE))  # NaN is not within either
    if not len(bad):
        return
    length = lengths[bad[0]]
    what, remedy = (
        (f"has length {length:.6g}", "Divide each by its length")
        if np.isfinite(length)
        else ("is not finite", "The model is broken: train with a lower optimizer.lr or fp32")
    )
    raise EvaluationError(
        f"{embeddings.paths[bad[0]]}: its embedding {what} (got {len(bad)} such of {len(lengths)} photos). "
        f"Embeddings are finite and of length 1. {remedy}."
    )
