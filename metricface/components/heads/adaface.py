"""AdaFace: a margin that asks most of far photos where photos are good, and of near ones where they are poor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor, nn

from metricface.contracts import HeadOutput
from metricface.functional.margins import add_quality_margin
from metricface.functional.prototypes import margin_logits, new_prototypes
from metricface.functional.similarity import norm_float32

_EPSILON = 1e-3  # beside the standard deviation, as in the authors' code


class AdaFace(nn.Module):
    """Scaled cosines to one prototype per class, with a margin that depends on the length of the embedding.

    The length stands for the quality of the photo: q = (length - mean) / (std / concentration), cut to [-1, 1], with
    mean and std over the last batches. The target's cos(theta) becomes cos(theta - margin * q) - margin * (1 + q). No
    gradient goes through q. Everything is computed in float32, also under autocast.

    Mean and std are state: saved with the run, the same on every process, and moved by training batches only (with
    labels, in training mode); in evaluation mode labels get the margin of the state as it is.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, people of the train split.
        scale: factor on the cosines; s of the paper.
        margin: radians on the angle and a difference of cosines after it; m of the paper (0.4 radians are 22.9
            degrees).
        concentration: h of the paper; with 0.333 about two photos of three have a quality within 0.333 of 0. At 0 all
            qualities are 0: CosFace.
        momentum: share of the former mean and std that a batch leaves as they are.

    Source:
        AdaFace, arXiv 2204.00964 section 3.3. `momentum` weighs the former value (in the paper's formula its 0.99
        weighs the new one; the authors' code weighs the new one by t_alpha, 0.01 in its configuration, which is the
        same as here). Deviations from that code: mean and std begin as those of all batches so far and become moving
        averages when 1 / batches falls below 1 - momentum (the code begins at 20 and 100, so that a run of a few
        hundred steps would see CosFace only); lengths are not cut to [0.001, 100]; a batch of one photo moves nothing
        (there it makes the deviation NaN); nothing is clamped to stay 0.001 away from an end, where a clamp has no
        gradient: the code does it with every cosine, and with the angle after the margin, for all classes. Here the
        angle stops at 0, and above pi the logit goes on falling as in the head `arcface`. Prototypes start from
        N(0, 0.01); no arccos (see functional/margins.py).
    """

    conformance_exempt: ClassVar[Mapping[str, str]] = {
        "gradient": "none goes through the lengths, nor through their mean and deviation, as in the paper"
    }
    length_mean: Tensor
    length_std: Tensor
    batches: Tensor

    def __init__(
        self,
        *,
        embedding_dim: int,
        num_classes: int,
        scale: Annotated[float, Gt(0)] = 64.0,
        margin: Annotated[float, Ge(0), Le(math.pi / 2)] = 0.4,
        concentration: Annotated[float, Ge(0)] = 0.333,
        momentum: Annotated[float, Ge(0), Lt(1)] = 0.99,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.margin = margin
        self.concentration = concentration
        self.momentum = momentum
        self.prototypes = new_prototypes(num_classes, embedding_dim)  # (C, D)
        self.register_buffer("length_mean", torch.tensor(20.0))
        self.register_buffer("length_std", torch.tensor(100.0))
        self.register_buffer("batches", torch.tensor(0.0))

    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
        """Embeddings (B, D), labels (B,) -> logits (B, C) float32; without labels there is no margin.

        Raises:
            TrainingError: a label is none of the classes.
        """

        def add_margin(cosines: Tensor, targets: Tensor) -> Tensor:
            return add_quality_margin(cosines, targets, self.margin, self._quality(embeddings.detach()))

        logits = margin_logits(embeddings, self.prototypes, labels, add_margin, scale=self.scale)
        return HeadOutput(logits, labels)

    def _quality(self, embeddings: Tensor) -> Tensor:
        """Return the quality (B,) of each embedding (B, D), after a training batch has moved mean and std."""
        lengths = norm_float32(embeddings)
        if self.training and len(lengths) > 1:
            self.batches += 1
            share = (1 / self.batches).clamp(min=1 - self.momentum)
            self.length_mean.lerp_(lengths.mean(), share)
            self.length_std.lerp_(lengths.std(), share)
        scaled = self.concentration * (lengths - self.length_mean) / (self.length_std + _EPSILON)
        return scaled.clamp(-1, 1)
