"""Semi-hard triplets: negatives a little farther than the positive."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor

from metricface.functional.similarity import cosine_float32


class SemiHard:
    """For every pair of one person, the nearest negative that is farther than the positive, if within the margin.

    The distance is 1 - cos. Where the nearest such negative is beyond the margin the pair is left out: no triplet of
    it with a farther negative costs anything. Fall-back: where every negative is at most as far as the positive, the
    farthest of them is taken, so that training goes on while people still lie on top of each other. A batch of one
    person, or without pairs, gives no triplet.

    Args:
        margin: as a difference of cosines, the margin of the loss `triplet` on cosine distance. FaceNet's 0.2 is on
            squared Euclidean distances of unit vectors and is 0.1 here.

    Source:
        FaceNet, arXiv 1503.03832 section 3.2 eq. 4, over all anchor-positive pairs. The paper does not say which
        semi-hard negative; nearest and fall-back are those of TensorFlow's triplet_semihard_loss.
    """

    def __init__(self, *, margin: Annotated[float, Gt(0)] = 0.2) -> None:
        self.margin = margin

    @torch.no_grad()
    def __call__(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Embeddings (B, D), labels (B,) -> (anchor, positive, negative), each (P,) int64."""
        distance = 1 - cosine_float32(embeddings, embeddings)  # (B, B)
        same = labels[:, None] == labels[None, :]
        # Negatives of each anchor from near to far; photos of its own person come last.
        ranked, order = distance.masked_fill(same, torch.inf).sort(dim=1)  # (B, B)
        last = (~same).sum(dim=1, keepdim=True) - 1  # (B, 1), -1 without negatives
        # For every pair the rank of the first negative that is farther; past the last one, the fall-back: the last.
        rank = torch.searchsorted(ranked, distance, right=True).minimum(last).clamp(min=0)  # (B, B)
        negative_distance = ranked.gather(1, rank)
        pairs = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        wanted = pairs & (negative_distance < distance + self.margin)  # inf without negatives
        anchors, positives = wanted.nonzero(as_tuple=True)
        return anchors, positives, order.gather(1, rank)[anchors, positives]
