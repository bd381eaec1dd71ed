"""A loss for MetricFace: Circle loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from metricface.contracts import LossInput
from metricface.functional.similarity import cosine_float32


class CircleLoss:
    """Pulls every pair of the batch the harder, the further its cosine is from where it should be.

    For an anchor with cosines p to its positives and n to its negatives, the cost is
    log(1 + sum over n of exp(scale * [n + margin]_+ * (n - margin))
            * sum over p of exp(scale * [1 + margin - p]_+ * (1 - margin - p))).
    The factors [...]_+ are weights: no gradient flows through them. The loss is the mean over anchors that have both
    a positive and a negative; the others are left out, and a batch without such an anchor gives 0 with a gradient of 0.

    Args:
        scale: factor on the weighted cosines; gamma of the paper.
        margin: a difference of cosines and no angle; m of the paper.

    Source:
        Circle loss, arXiv 2002.10857 eq. 6 with O_p = 1 + m, O_n = -m, the margins 1 - m and m, and the scale and
        margin that it has for faces. Its gradients take the weights as constants, as here. Deviations: the paper
        leaves open how anchors are put together (here their mean). Batches are small beside the paper's; scale = 80
        and margin = 0.4, which it has for image retrieval, are softer.
    """

    consumes: ClassVar[Literal["logits", "embeddings"]] = "embeddings"
    uses_pairs: ClassVar[bool] = False  # it weighs all pairs for itself, so a miner's choice is not looked at
    conformance_exempt: ClassVar[Mapping[str, str]] = {
        "gradient": "the weights of the pairs are constants to the gradient, as in the paper"
    }

    def __init__(
        self,
        *,
        scale: Annotated[float, Gt(0)] = 256.0,
        margin: Annotated[float, Ge(0), Lt(1)] = 0.25,
    ) -> None:
        self.scale = scale
        self.margin = margin

    def __call__(self, given: LossInput) -> Tensor:
        """Embeddings (B, D), of any length, and labels (B,) -> scalar, in nats."""
        cosine = cosine_float32(given.embeddings, given.embeddings)  # (B, B)
        same = given.labels[:, None] == given.labels[None, :]
        positive, negative = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device), ~same
        constant = cosine.detach()
        pull = F.relu(1 + self.margin - constant) * (1 - self.margin - cosine)
        push = F.relu(constant + self.margin) * (cosine - self.margin)
        both = positive.any(dim=1) & negative.any(dim=1)
        costs = F.softplus(_log_sum(self.scale * push, negative) + _log_sum(self.scale * pull, positive))  # (B,)
        return costs.masked_fill(~both, 0).sum() / both.sum().clamp(min=1)


def _log_sum(exponents: Tensor, pairs: Tensor) -> Tensor:
    """Return the logarithm of the sum of exponentials over the pairs of each row (B, B) -> (B,)."""
    # The lowest finite number, halved, stands for "not there": two of them can be added, and -inf would give NaN.
    return exponents.masked_fill(~pairs, torch.finfo(exponents.dtype).min / 2).logsumexp(dim=1)
