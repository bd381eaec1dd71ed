"""ArcFace: an additive margin on the angle to the prototype of the own class."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from metricface.contracts import HeadOutput
from metricface.functional.margins import add_angular_margin
from metricface.functional.prototypes import margin_logits, new_prototypes


class ArcFace(nn.Module):
    """Scaled cosines to one prototype per class, with a margin on the angle of the target class.

    Embeddings of any dtype are normalised in float32, and the prototypes are float32, also under autocast: rounding a
    cosine to bfloat16 would move a logit at scale 64 by up to 0.12.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, people of the train split.
        scale: factor on the cosines; s of the paper.
        margin: radians; m of the paper (0.5 radians are 28.6 degrees). 0 gives the normalised softmax.

    Source:
        ArcFace, arXiv 1801.07698 eq. 3. Prototypes start from N(0, 0.01), as in the authors' code (insightface,
        recognition/arcface_torch). Deviations from that code as it is today: a target with theta + m > pi gets
        cos(theta) - m * sin(m), which goes on falling, as in an older version of it (today's lets cos(theta + m) rise
        again); the gradient is that of cos(theta + m) (today's code computes it under no_grad, so that the gradient of
        cos(theta) goes straight through the margin); no arccos (see functional/margins.py), so nothing has to be
        clamped away from |cos| = 1.
    """

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

    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
        """Embeddings (B, D), labels (B,) -> logits (B, C) float32; without labels there is no margin.

        Raises:
            TrainingError: a label is none of the classes.
        """
        add_margin = partial(add_angular_margin, margin=self.margin)
        logits = margin_logits(embeddings, self.prototypes, labels, add_margin, scale=self.scale)
        return HeadOutput(logits, labels)
