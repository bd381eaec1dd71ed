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
    add_margin: Callable[[Tensor, Tensor], Tensor],
    *,
    scale: float,
    sub_centers: int = 1,
    where: str = "head",
) -> Tensor:
    """Return scaled cosines to the prototypes, with a margin on those of the target classes.

    Args:
        embeddings: (B, D), any dtype; the cosines are float32.
        prototypes: (C * K, D) float32, those of a class one after the other.
        labels: (B,) int64, or None for no margin.
        add_margin: (cosines (B, C), labels (B,)) -> (B, C), see functional/margins.py; called with labels only.
        scale: factor on the cosines.
        sub_centers: K, prototypes of each class; the nearest one counts.
        where: what to call the component in an error.

    Returns:
        (B, C) float32.

    Raises:
        TrainingError: a label is none of the classes.
    """
    cosines = cosine_float32(embeddings, prototypes)  # (B, D) with (C * K, D) -> (B, C * K)
    if sub_centers > 1:
        cosines = cosines.view(-1, len(prototypes) // sub_centers, sub_centers).amax(dim=2)  # (B, C, K) -> (B, C)
    if labels is not None:
        check_labels(labels, cosines.shape[1], where=where)
        cosines = add_margin(cosines, labels)
    return scale * cosines
