"""Softmax cross-entropy over the logits of a head."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch.nn.functional as F
from annotated_types import Ge, Lt
from torch import Tensor

from metricface.contracts import LossInput
from metricface.errors import RecipeError


class CrossEntropy:
    """Mean cross-entropy of the head's logits.

    Args:
        label_smoothing: share of the target probability that is spread evenly over all classes.
    """

    consumes: ClassVar[Literal["logits", "embeddings"]] = "logits"

    def __init__(self, *, label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def __call__(self, given: LossInput) -> Tensor:
        """Logits (B, C) and targets (B,) -> scalar, in nats.

        Raises:
            RecipeError: there is no head, or it gives a single logit.
        """
        if given.logits is None or given.targets is None:
            raise RecipeError('loss cross-entropy: there are no logits. Add a [head], for instance name = "arcface".')
        if given.logits.shape[1] < 2:
            raise RecipeError(
                "loss cross-entropy: needs at least two logits (got 1, from a binary head). Set head.binary = false."
            )
        return F.cross_entropy(given.logits, given.targets, label_smoothing=self.label_smoothing)
