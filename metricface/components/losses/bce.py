"""Binary cross-entropy over the one logit of a binary head."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from annotated_types import Ge, Gt
from torch import Tensor

from metricface.contracts import LossInput, Rebalancing
from metricface.errors import RecipeError
from metricface.functional.labels import check_labels
from metricface.functional.logits import counts_of_all, logits_and_targets

_HEAD = 'name = "linear" with binary = true'


class BCE:
    """Mean binary cross-entropy of one logit, the log-odds of label 1.

    Both corrections for imbalance move the logit that training aims at, away from the log-odds in the train split:
    `pos_weight` = w by + log(w), and `logit_adjustment` = tau by - tau * log(positives / negatives). The two add up.
    `pos_weight = "balanced"` and tau = 1 therefore aim at the same logit, that of two equally common classes. They
    differ in the gradient: pos_weight makes a few photos count much, the adjustment leaves all photos alike. Together
    they would correct twice, which is refused; a number as pos_weight may go with tau, to say that one error costs
    more than the other. A balanced sampler corrects for the same thing once more.

    Args:
        pos_weight: weight of photos with label 1 against those with label 0; "balanced" is negatives / positives.
            The mean is over photos and is not divided by their weights.
        logit_adjustment: tau, no unit; tau * log(positives / negatives) is added to the logit while training.
        class_counts: (2,) photos with label 0 and 1 in the train split; "balanced" and `logit_adjustment` need it.

    Raises:
        RecipeError: there are not two classes, the train split's prior is corrected for twice, or `class_counts` is
            missing. DataError: a class whose photos are needed has none.

    Source:
        "Long-tail learning via logit adjustment", arXiv 2007.07314 eq. 10, for one logit: the difference of two.
    """

    consumes: ClassVar[Literal["logits", "embeddings"]] = "logits"

    def __init__(
        self,
        *,
        pos_weight: Annotated[float, Gt(0)] | Literal["balanced"] = 1.0,
        logit_adjustment: Annotated[float, Ge(0)] = 0.0,
        class_counts: npt.NDArray[np.int64] | None = None,
    ) -> None:
        if class_counts is not None and len(class_counts) != 2:
            raise RecipeError(
                f'loss bce: one logit tells two classes apart (got {len(class_counts)} classes). Use "cross-entropy".'
            )
        if pos_weight == "balanced" and logit_adjustment:
            raise RecipeError(
                f'loss bce: pos_weight = "balanced" and logit_adjustment = {logit_adjustment} both correct for the '
                "class counts. Leave one of them out."
            )
        if pos_weight == "balanced":
            negatives, positives = counts_of_all(class_counts, setting='loss bce: pos_weight = "balanced"')
            pos_weight = float(negatives / positives)
        self.pos_weight = pos_weight
        self._adjustment = 0.0
        if logit_adjustment:
            negatives, positives = counts_of_all(class_counts, setting="loss bce: logit_adjustment")
            self._adjustment = logit_adjustment * math.log(positives / negatives)

    @staticmethod
    def rebalances(arguments: Mapping[str, Any]) -> Rebalancing | None:
        """Return what `pos_weight` and `logit_adjustment` do to the prior of the classes."""
        pos_weight, tau = arguments["pos_weight"], arguments["logit_adjustment"]
        if pos_weight == "balanced":
            return Rebalancing('pos_weight = "balanced"', 1.0)
        settings = [f"pos_weight = {pos_weight}"] * (pos_weight != 1) + [f"logit_adjustment = {tau}"] * bool(tau)
        weights = (1.0, pos_weight) if pos_weight != 1 else ()
        return Rebalancing(" with ".join(settings), tau, weights) if settings else None

    def __call__(self, given: LossInput) -> Tensor:
        """Logits (B, 1) and targets (B,), 0 or 1 -> scalar, in nats.

        Raises:
            RecipeError: there is no head, or it gives more than one logit.
            TrainingError: a target is neither 0 nor 1.
        """
        logits, targets = logits_and_targets(given, loss="bce", head=_HEAD)
        if logits.shape[1] != 1:
            raise RecipeError(f"loss bce: needs one logit (got {logits.shape[1]}). Use a head such as {_HEAD}.")
        check_labels(targets, 2, where="loss bce")
        logit = logits[:, 0].float() + self._adjustment  # (B,)
        weight = logit.new_tensor(self.pos_weight)
        return F.binary_cross_entropy_with_logits(logit, targets.float(), pos_weight=weight)
