"""Contrastive loss on cosine similarity."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import ContrastiveLoss
from torch import Tensor

from metricface.contracts import LossInput
from metricface.errors import RecipeError


class Contrastive:
    """Pulls pairs of one class together and pushes pairs of two classes apart, on cosine similarity.

    A positive pair costs max(0, positive_margin - cos), a negative pair max(0, cos - negative_margin). The loss is the
    mean over the positive pairs that cost something plus the mean over the negative pairs that do. Whatever has no
    such pair adds 0, so a batch without pairs gives 0 with a gradient of 0.

    The defaults go with a margin head: views of one person are drawn together all the way, and people are pushed apart
    only where they are closer than 0.2, below the thresholds at which faces are usually accepted.

    Args:
        positive_margin: cosine at which a positive pair is close enough.
        negative_margin: cosine at which a negative pair is far enough; below `positive_margin`.

    Raises:
        RecipeError: the margins are the wrong way round.

    Source:
        Hadsell et al. 2006, "Dimensionality Reduction by Learning an Invariant Mapping", with cosine similarity in
        place of the Euclidean distance and without squares (pytorch-metric-learning's ContrastiveLoss).
    """

    consumes: ClassVar[Literal["logits", "embeddings"]] = "embeddings"

    def __init__(
        self,
        *,
        positive_margin: Annotated[float, Ge(-1), Le(1)] = 1.0,
        negative_margin: Annotated[float, Ge(-1), Le(1)] = 0.2,
    ) -> None:
        if negative_margin >= positive_margin:
            raise RecipeError(
                f"loss contrastive: negative_margin {negative_margin} is not below positive_margin {positive_margin}. "
                "Both are cosine similarities, higher is closer; distances go the other way."
            )
        self._loss = ContrastiveLoss(
            pos_margin=positive_margin, neg_margin=negative_margin, distance=CosineSimilarity()
        )

    def __call__(self, given: LossInput) -> Tensor:
        """Embeddings (B, D), labels (B,) and, with a miner, `pairs` -> scalar."""
        pairs = given.pairs
        if pairs is not None and all(len(indices) <= 1 for indices in pairs):
            # The library takes a lone pair for "no pairs" and gives 0. Twice the same pair has the same mean.
            pairs = tuple(indices.repeat(2) for indices in pairs)
        loss: Tensor = self._loss(given.embeddings, given.labels, pairs)
        return loss
