"""Focal loss: cross-entropy that turns away from photos which are already right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from metricface.contracts import LossInput, Rebalancing
from metricface.errors import RecipeError
from metricface.functional.labels import check_labels
from metricface.functional.logits import counts_of_all, logits_and_targets


class Focal:
    """Mean of -alpha_t * (1 - p_t)^gamma * log(p_t), where p_t is the probability of a photo's own class.

    With a binary head p_t comes from the sigmoid of its one logit, otherwise from the softmax of all.

    Args:
        gamma: how far to turn away from easy photos; 0 gives (weighted) cross-entropy.
        alpha: weight of label 1, with 1 - alpha for label 0; for two classes only. "balanced" weighs every class by
            N / (C * its photos), so that the weights' mean over the train split is 1; for two classes that is
            alpha = negatives / N times a constant. Left out, all photos weigh the same.
        class_counts: (C,) photos of each class in the train split; needed by "balanced" alone.

    Raises:
        RecipeError, DataError: "balanced" without `class_counts`, or with a class that has no photo.

    Source:
        "Focal Loss for Dense Object Detection", arXiv 1708.02002 eq. 5, where gamma = 2 goes with alpha = 0.25.
        Deviations: the mean over photos (the paper divides by the anchors on objects); the softmax for many classes.
    """

    consumes: ClassVar[Literal["logits", "embeddings"]] = "logits"

    def __init__(
        self,
        *,
        gamma: Annotated[float, Ge(0)] = 2.0,
        alpha: Annotated[float, Gt(0), Lt(1)] | Literal["balanced"] | None = None,
        class_counts: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self.gamma = gamma
        self._weights: Tensor | None = None  # (C,)
        if alpha == "balanced":
            counts = counts_of_all(class_counts, setting='loss focal: alpha = "balanced"')
            self._weights = torch.from_numpy(counts.sum() / (len(counts) * counts)).float()
        elif alpha is not None:
            self._weights = torch.tensor([1 - alpha, alpha])

    @staticmethod
    def rebalances(arguments: Mapping[str, Any]) -> Rebalancing | None:
        """Return what `alpha` does to the prior of the classes; what `gamma` does depends on the photos."""
        alpha = arguments["alpha"]
        if alpha is None or alpha == 0.5:
            return None
        if alpha == "balanced":
            return Rebalancing('alpha = "balanced"', 1.0)
        return Rebalancing(f"alpha = {alpha}", weights=(1 - alpha, alpha))

    def __call__(self, given: LossInput) -> Tensor:
        """Logits (B, C), or (B, 1) of a binary head, and targets (B,) -> scalar, in nats.

        Raises:
            RecipeError: there is no head, or the weights are those of another number of classes.
            TrainingError: a target is none of the classes.
        """
        logits, targets = logits_and_targets(given, loss="focal", head='name = "linear"')
        classes = max(2, logits.shape[1])
        if self._weights is not None and len(self._weights) != classes:
            raise RecipeError(
                f"loss focal: alpha weighs {len(self._weights)} classes (got logits of {classes}). "
                'Use alpha = "balanced" and a head with a logit for every class, or leave alpha out.'
            )
        check_labels(targets, classes, where="loss focal")
        log_p = _log_probability(logits.float(), targets)  # (B,)
        # The clamp cuts the gradient at p = 1, where that of the power is infinite for gamma below 1.
        easing = (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).tiny) ** self.gamma
        costs = -easing * log_p
        if self._weights is not None:
            costs = costs * self._weights.to(costs.device)[targets]
        return costs.mean()


def _log_probability(logits: Tensor, targets: Tensor) -> Tensor:
    """Return log p_t (B,) without taking the logarithm of a probability, which could be 0."""
    if logits.shape[1] == 1:
        return F.logsigmoid(torch.where(targets == 1, logits[:, 0], -logits[:, 0]))
    return -F.cross_entropy(logits, targets, reduction="none")
