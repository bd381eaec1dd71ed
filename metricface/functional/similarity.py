"""Cosine similarity: higher is closer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def normalize(vectors: Tensor) -> Tensor:
    """Return vectors (..., D) scaled to unit length; a zero vector stays zero."""
    return F.normalize(vectors, dim=-1)


def cosine(left: Tensor, right: Tensor) -> Tensor:
    """Return the cosine similarities of every row of `left` (B, D) with every row of `right` (C, D).

    Returns:
        (B, C) in [-1, 1], up to rounding.
    """
    return normalize(left) @ normalize(right).T  # (B, D) @ (D, C) -> (B, C)


def cosine_float32(left: Tensor, right: Tensor) -> Tensor:
    """Return `cosine` computed in float32 whatever the dtypes, also under autocast.

    Rounding a cosine to bfloat16 would move a logit at scale 64 by up to 0.12.
    """
    with torch.autocast(left.device.type, enabled=False):
        return cosine(left.float(), right.float())


def norm_float32(embeddings: Tensor) -> Tensor:
    """Return the lengths (B,) of embeddings (B, D), computed in float32 whatever the dtype, also under autocast."""
    with torch.autocast(embeddings.device.type, enabled=False):
        lengths: Tensor = torch.linalg.vector_norm(embeddings.float(), dim=1)
    return lengths
