"""ArcFace as a loss that needs no head: it owns its prototypes."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated, ClassVar, Literal

import torch.nn.functional as F
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from metricface.contracts import LossInput
from metricface.functional.margins import add_angular_margin
from metricface.functional.prototypes import margin_logits, new_prototypes


class ArcFaceLoss(nn.Module):
    """Cross-entropy of ArcFace logits to float32 prototypes that only this loss knows.

    The same as `[head] name = "arcface"` with the loss `cross-entropy`, for a recipe whose head does something else or
    that has none. The prototypes are trained and saved with the run, but do not go into the model folder, which then
    gives embeddings only. A miner's pairs are not looked at.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, people of the train split.
        scale: factor on the cosines; s of the paper.
        margin: radians; m of the paper (0.5 radians are 28.6 degrees). 0 gives the normalised softmax.

    Source:
        ArcFace, arXiv 1801.07698 eq. 3; deviations as in the head `arcface`.
    """

    consumes: ClassVar[Literal["logits", "embeddings"]] = "embeddings"
    uses_pairs: ClassVar[bool] = False

    def __init__(
        self,
        *,
        embedding_dim: int,
        num_classes: int,
        scale: Annotated[float, Gt(0)] = 64.0,
        margin: Annotated[float, Ge(0), Le(math.pi / 2)] = 0.5,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.margin = margin
        self.prototypes = new_prototypes(num_classes, embedding_dim)  # (C, D)

    def forward(self, given: LossInput) -> Tensor:
        """Embeddings (B, D) and labels (B,) -> scalar, in nats, the mean over the batch.

        Raises:
            TrainingError: a label is none of the classes.
        """
        logits = margin_logits(
            given.embeddings,
            self.prototypes,
            given.labels,
            partial(add_angular_margin, margin=self.margin),
            scale=self.scale,
            where="loss arcface",
        )
        return F.cross_entropy(logits, given.labels)
