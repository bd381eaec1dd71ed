"""CosFace: an additive margin on the cosine to the prototype of the own class."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from metricface.contracts import HeadOutput
from metricface.functional.margins import add_cosine_margin
from metricface.functional.prototypes import margin_logits, new_prototypes


class CosFace(nn.Module):
    """Scaled cosines to one prototype per class, with a margin on the cosine of the target class.

    Everything is computed in float32, also under autocast.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, people of the train split.
        scale: factor on the cosines; s of the paper.
        margin: taken off the target's cosine, so a difference of cosines and no angle; m of the paper. 0 gives the
            normalised softmax.

    Source:
        CosFace, arXiv 1801.09414 eq. 4, with s and m of its section 4.1. Prototypes start from N(0, 0.01), as those of
        the head `arcface`.
    """

    def __init__(
        self,
        *,
        embedding_dim: int,
        num_classes: int,
        scale: Annotated[float, Gt(0)] = 64.0,
        margin: Annotated[float, Ge(0), Le(1)] = 0.35,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.margin = margin
        self.prototypes = new_prototypes(num_classes, embedding_dim)  # (C, D)

    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
        """Embeddings (B, D), labels (B,) -> logits (B, C) float32; without labels there is no margin.

        Raises:
            TrainingError: a label is none of the classes.
        """
        add_margin = partial(add_cosine_margin, margin=self.margin)
        logits = margin_logits(embeddings, self.prototypes, labels, add_margin, scale=self.scale)
        return HeadOutput(logits, labels)
