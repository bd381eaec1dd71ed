"""Batch-hard triplets: every anchor with its hardest positive and its hardest negative."""

from __future__ import annotations

import torch
from torch import Tensor

from metricface.functional.similarity import cosine_float32


class BatchHard:
    """One triplet per anchor: its farthest photo of the same person and its nearest photo of another, by cosine.

    Anchors without a positive or without a negative in the batch are left out; there may be no triplet at all.

    Source:
        "In Defense of the Triplet Loss for Person Re-Identification", arXiv 1703.07737 eq. 5; cosine in place of the
        Euclidean distance, which orders unit vectors alike.
    """

    @torch.no_grad()
    def __call__(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Embeddings (B, D), labels (B,) -> (anchor, positive, negative), each (P,) int64 with P <= B."""
        similarity = cosine_float32(embeddings, embeddings)  # (B, B)
        same = labels[:, None] == labels[None, :]
        positives = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        hardest_positive = similarity.masked_fill(~positives, torch.inf).argmin(dim=1)  # (B,)
        hardest_negative = similarity.masked_fill(same, -torch.inf).argmax(dim=1)
        (anchors,) = (positives.any(dim=1) & ~same.all(dim=1)).nonzero(as_tuple=True)
        return anchors, hardest_positive[anchors], hardest_negative[anchors]
