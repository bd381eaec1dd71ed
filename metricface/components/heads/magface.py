"""MagFace: a margin that grows with the length of the embedding, and a penalty that makes good photos long."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from metricface.contracts import HeadOutput
from metricface.errors import RecipeError
from metricface.functional.margins import add_angular_margin
from metricface.functional.prototypes import margin_logits, new_prototypes
from metricface.functional.similarity import norm_float32


class MagFace(nn.Module):
    """Scaled cosines to one prototype per class, with a margin on the target's angle by the length of the embedding.

    A length a, cut to [norm_lower, norm_upper], gets the margin m(a), which goes linearly from margin_lower to
    margin_upper, and the penalty g(a) = 1 / a + a / norm_upper^2, which falls with a. A long embedding therefore costs
    less only where it is near its prototype: length comes to say how well a photo can be recognised. The penalty
    `penalty_weight` times the mean of g is added to the losses, in nats, and is shown as `penalty`. Everything is
    computed in float32, also under autocast.

    A length outside [norm_lower, norm_upper] gets no gradient, so it should start inside: an `[embedding]` layer gives
    about sqrt(dim), that is 22.6 for 512 and 8 for 64.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, people of the train split.
        scale: factor on the cosines; s of the paper.
        margin_lower, margin_upper: radians, at norm_lower and norm_upper; l_m and u_m of the paper.
        norm_lower, norm_upper: bounds of the length; l_a and u_a of the paper.
        penalty_weight: lambda_g of the paper. The best length is sure to lie inside the bounds from
            scale * K * norm_lower^2 * norm_upper^2 / (norm_upper^2 - norm_lower^2) on, where K is the slope of m(a):
            22.6 for the defaults.

    Raises:
        RecipeError: a lower bound is not below the upper one.

    Source:
        MagFace, arXiv 2103.06627 eq. 3, with the m, g and bounds of its experiments (margins from 0.45, lambda_g of
        35 as in the authors' script). Deviations from the authors' code (models/magface.py): a target keeps its
        margin up to theta + m = pi and goes on falling beyond, as in the head `arcface` (there it has none from
        theta = pi / 2 on); prototypes start from N(0, 0.01) (there from a cube, at unit length); no arccos (see
        functional/margins.py).
    """

    def __init__(
        self,
        *,
        embedding_dim: int,
        num_classes: int,
        scale: Annotated[float, Gt(0)] = 64.0,
        margin_lower: Annotated[float, Ge(0), Le(math.pi / 2)] = 0.45,
        margin_upper: Annotated[float, Ge(0), Le(math.pi / 2)] = 0.8,
        norm_lower: Annotated[float, Gt(0)] = 10.0,
        norm_upper: Annotated[float, Gt(0)] = 110.0,
        penalty_weight: Annotated[float, Ge(0)] = 35.0,
    ) -> None:
        super().__init__()
        for what, lower, upper in (("margin", margin_lower, margin_upper), ("norm", norm_lower, norm_upper)):
            if lower >= upper:
                raise RecipeError(
                    f"head magface: {what}_lower must be below {what}_upper (got {lower} and {upper}). "
                    f"Lower {what}_lower or raise {what}_upper."
                )
        self.scale = scale
        self.margin_lower, self.margin_upper = margin_lower, margin_upper
        self.norm_lower, self.norm_upper = norm_lower, norm_upper
        self.penalty_weight = penalty_weight
        self.prototypes = new_prototypes(num_classes, embedding_dim)  # (C, D)

    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
        """Embeddings (B, D), labels (B,) -> logits (B, C) float32; without labels there is no margin and no penalty.

        Raises:
            TrainingError: a label is none of the classes.
        """
        lengths = norm_float32(embeddings).clamp(self.norm_lower, self.norm_upper)  # (B,)
        share = (lengths - self.norm_lower) / (self.norm_upper - self.norm_lower)
        margins = self.margin_lower + (self.margin_upper - self.margin_lower) * share
        add_margin = partial(add_angular_margin, margin=margins)
        logits = margin_logits(embeddings, self.prototypes, labels, add_margin, scale=self.scale)
        if labels is None:
            return HeadOutput(logits)
        penalty = self.penalty_weight * (1 / lengths + lengths / self.norm_upper**2).mean()
        return HeadOutput(logits, labels, penalty)
