"""Softmax cross-entropy over the logits of a head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from annotated_types import Ge, Lt
from torch import Tensor

from metricface.contracts import LossInput, Rebalancing
from metricface.errors import RecipeError
from metricface.functional.labels import check_labels
from metricface.functional.logits import counts_of_all, logits_and_targets


class CrossEntropy:
    """Mean cross-entropy of the head's logits.

    With `logit_adjustment` = tau, tau * log prior is added to each logit while training, after the head's scale. The
    model's own logits then no longer favour the common classes: at tau = 1 they are as if all classes were equally
    common. The prior is that of the train split, so this goes with a sampler that draws photos as they come, not with
    a balanced one, which corrects for the same thing.

    Args:
        label_smoothing: share of the target probability that is spread evenly over all classes.
        logit_adjustment: tau, no unit; 0 adjusts nothing, 1 takes the prior out.
        class_counts: (C,) photos of each class in the train split; needed by `logit_adjustment` alone.

    Raises:
        RecipeError, DataError: `logit_adjustment` without `class_counts`, or with a class that has no photo.

    Source:
        "Long-tail learning via logit adjustment", arXiv 2007.07314 eq. 10.
    """

    consumes: ClassVar[Literal["logits", "embeddings"]] = "logits"

    def __init__(
        self,
        *,
        label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0,
        logit_adjustment: Annotated[float, Ge(0)] = 0.0,
        class_counts: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self.label_smoothing = label_smoothing
        self._adjustment: Tensor | None = None
        if logit_adjustment:
            counts = counts_of_all(class_counts, setting="loss cross-entropy: logit_adjustment")
            self._adjustment = torch.from_numpy(logit_adjustment * np.log(counts / counts.sum())).float()  # (C,)

    @staticmethod
    def rebalances(arguments: Mapping[str, Any]) -> Rebalancing | None:
        """Return what `logit_adjustment` does to the prior of the classes."""
        tau = arguments["logit_adjustment"]
        return Rebalancing(f"logit_adjustment = {tau}", tau) if tau else None

    def __call__(self, given: LossInput) -> Tensor:
        """Logits (B, C) and targets (B,) -> scalar, in nats.

        Raises:
            RecipeError: there is no head, or it gives a single logit, or not those of all classes to adjust.
            TrainingError: a target is none of the classes.
        """
        logits, targets = logits_and_targets(given, loss="cross-entropy", head='name = "arcface"')
        if logits.shape[1] < 2:
            raise RecipeError(
                "loss cross-entropy: needs at least two logits (got 1, from a binary head). Set head.binary = false."
            )
        check_labels(targets, logits.shape[1], where="loss cross-entropy")
        if self._adjustment is not None:
            if logits.shape[1] != len(self._adjustment):
                raise RecipeError(
                    f"loss cross-entropy: logit_adjustment needs a logit for each of the {len(self._adjustment)} "
                    f"classes (got {logits.shape[1]}). Use another head or set logit_adjustment = 0."
                )
            logits = logits + self._adjustment.to(logits.device)  # (B, C) + (C,)
        return F.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)
