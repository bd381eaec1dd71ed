"""Triplet loss on cosine or Euclidean distance."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge
from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from torch import Tensor

from metricface.contracts import LossInput


class Triplet:
    """Wants every anchor nearer to its positive than to its negative, by a margin.

    A triplet costs max(0, d(anchor, positive) - d(anchor, negative) + margin), on unit vectors. The loss is the mean
    over the triplets that cost something: those that are already right do not dilute it. Without a miner the triplets
    are all valid ones of the batch, about B^2 K for K photos of a person, found in B^3 bytes; with one they are the
    miner's choice, where pairs (anchor, positive, anchor, negative) stand for every triplet that they make up. A batch
    without triplets gives 0 with a gradient of 0.

    Args:
        margin: in the unit of `distance`: 1 - cos runs from 0 to 2, and so does the Euclidean distance.
        distance: "cosine" is 1 - cos, "euclidean" the length of the difference of unit vectors, sqrt(2 - 2 cos).
        soft: log(1 + exp(d(anchor, positive) - d(anchor, negative) + margin)) in place of max(0, ...); every triplet
            then costs something. The paper's soft margin is this with margin = 0.

    Source:
        FaceNet, arXiv 1503.03832 eq. 3 (which squares the Euclidean distance: twice the cosine distance);
        "In Defense of the Triplet Loss", arXiv 1703.07737, for the soft margin and the mean over triplets that cost
        something (there "BA, non-zero"). Computed by pytorch-metric-learning's TripletMarginLoss.
    """

    consumes: ClassVar[Literal["logits", "embeddings"]] = "embeddings"

    def __init__(
        self,
        *,
        margin: Annotated[float, Ge(0)] = 0.2,
        distance: Literal["cosine", "euclidean"] = "cosine",
        soft: bool = False,
    ) -> None:
        self._loss = TripletMarginLoss(
            margin=margin,
            smooth_loss=soft,
            distance=CosineSimilarity() if distance == "cosine" else LpDistance(normalize_embeddings=True, p=2),
        )

    def __call__(self, given: LossInput) -> Tensor:
        """Embeddings (B, D), labels (B,) and, with a miner, `pairs` -> scalar."""
        loss: Tensor = self._loss(given.embeddings.float(), given.labels, given.pairs)
        return loss
