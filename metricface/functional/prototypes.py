"""Class prototypes and the logits that they give, for heads and for losses that own prototypes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from metricface.functional.labels import check_labels
from metricface.functional.similarity import cosine_float32


def new_prototypes(num_classes: int, embedding_dim: int) -> nn.Parameter:
    """Return prototypes (C, D) float32 from N(0, 0.01), as in the authors' code of ArcFace."""
    prototypes = nn.Parameter(torch.empty(num_classes, embedding_dim, dtype=torch.float32))
    nn.init.normal_(prototypes, std=0.01)
    return prototypes


def margin_logits(
    embeddings: Tensor,
    prototypes: Tensor,
    labels: Tensor | None,
    add_margin: Callable[[Tensor, Tensor, float], Tensor],
    *,
    scale: float,
    margin: float,
    where: str = "head",
) -> Tensor:
    """Return scaled cosines to the prototypes, with a margin on those of the target classes.

    Args:
        embeddings: (B, D), any dtype; the cosines are float32.
        prototypes: (C, D) float32.
        labels: (B,) int64, or None for no margin.
        add_margin: (cosines (B, C), labels (B,), margin) -> (B, C), see functional/margins.py.
        scale: factor on the cosines.
        margin: in the unit of `add_margin`.
        where: what to call the component in an error.

    Returns:
        (B, C) float32.

    Raises:
        TrainingError: a label is none of the classes.
    """
    cosines = cosine_float32(embeddings, prototypes)  # (B, D) with (C, D) -> (B, C)
    if labels is not None:
        check_labels(labels, len(prototypes), where=where)
        cosines = add_margin(cosines, labels, margin)
    return scale * cosines
