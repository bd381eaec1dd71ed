"""Supervised contrastive loss."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt
from torch import Tensor

from metricface.contracts import LossInput
from metricface.functional.similarity import cosine_float32


class SupCon:
    """Softmax over the batch's other photos, in which every photo of the anchor's own class should win.

    For anchor i with positives P(i) the cost is the mean over p in P(i) of
    -log(exp(cos(i, p) / temperature) / sum over a != i of exp(cos(i, a) / temperature)). The loss is the mean over
    anchors that have a positive; the others are left out. A batch without positives gives 0 with a gradient of 0. All
    pairs of the batch are used, so a miner's choice is not looked at.

    A batch of B photos of one class has nothing to win against but its own positives: the loss is at least log(B - 1),
    where all its cosines are equal, and the gradient only evens them out. It pulls nobody together, so such a batch
    teaches next to nothing (with B = 2 nothing at all); a sampler should bring several classes.

    Args:
        temperature: divides the cosines; no unit.

    Source:
        "Supervised Contrastive Learning", arXiv 2004.11362 eq. 2 (L_out), with its temperature of 0.1. Deviation: the
        mean over anchors where the paper has a sum. The authors' code (HobbitLong/SupContrast) takes the mean over all
        anchors, also over those without a positive (NaN in older versions); its temperature is 0.07, and its factor
        temperature / base_temperature is in neither the paper nor here.
    """

    consumes: ClassVar[Literal["logits", "embeddings"]] = "embeddings"
    uses_pairs: ClassVar[bool] = False

    def __init__(self, *, temperature: Annotated[float, Gt(0)] = 0.1) -> None:
        self.temperature = temperature

    def __call__(self, given: LossInput) -> Tensor:
        """Embeddings (B, D) and labels (B,) -> scalar, in nats."""
        logits = cosine_float32(given.embeddings, given.embeddings) / self.temperature  # (B, B)
        self_pairs = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        positives = (given.labels[:, None] == given.labels[None, :]) & ~self_pairs  # (B, B)
        # The lowest finite number stands for "not there": -inf would put a NaN into the backward pass of a lone photo.
        others = logits.masked_fill(self_pairs, torch.finfo(logits.dtype).min)
        log_probability = logits - others.logsumexp(dim=1, keepdim=True)  # (B, B)
        counts = positives.sum(dim=1)  # (B,)
        costs = -log_probability.masked_fill(~positives, 0).sum(dim=1) / counts.clamp(min=1)
        return costs.sum() / (counts > 0).sum().clamp(min=1)
