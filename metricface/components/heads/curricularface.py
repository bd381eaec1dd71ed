"""CurricularFace: easy photos first, hard ones when training has come far enough."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor, nn

from metricface.contracts import HeadOutput
from metricface.functional.margins import add_curricular_margin
from metricface.functional.prototypes import margin_logits, new_prototypes


class CurricularFace(nn.Module):
    """Scaled cosines to one prototype per class, with an angular margin, and hard classes weighed by progress.

    The target's cos(theta) becomes cos(theta + margin). A class whose cosine is above that is hard for this photo, and
    its cos(theta) becomes cos(theta) * (t + cos(theta)), where t is a moving average of the targets' cosines: hard
    classes count less than in ArcFace at first, and more once t + cos(theta) is above 1. Everything is computed in
    float32, also under autocast.

    t is state, the buffer `progress`: saved with the run, the same on every process, and moved by training batches
    only (with labels, in training mode), before it is used; no gradient goes through it.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, people of the train split.
        scale: factor on the cosines; s of the paper.
        margin: radians; m of the paper (0.5 radians are 28.6 degrees).
        momentum: share of the former t that a batch leaves as it is; t starts from 0. The default reaches 63 % of
            what the targets' cosines are after 100 steps: lower it for runs of a few hundred.

    Source:
        CurricularFace, arXiv 2004.00288 section 3.2. As in the authors' code (head/metrics.py), `momentum` weighs the
        former value (the paper's formula has it the other way round) and is 0.99, prototypes start from N(0, 0.01),
        and a target with theta + m > pi gets cos(theta) - m * sin(m). Deviations: this value also decides which
        classes are hard (there cos(theta + m) does, which rises again); no arccos (see functional/margins.py).
    """

    conformance_exempt: ClassVar[Mapping[str, str]] = {
        "gradient": "none goes through the progress, which a batch moves before it is used, as in the paper"
    }
    progress: Tensor

    def __init__(
        self,
        *,
        embedding_dim: int,
        num_classes: int,
        scale: Annotated[float, Gt(0)] = 64.0,
        margin: Annotated[float, Ge(0), Le(math.pi / 2)] = 0.5,
        momentum: Annotated[float, Ge(0), Lt(1)] = 0.99,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.margin = margin
        self.momentum = momentum
        self.prototypes = new_prototypes(num_classes, embedding_dim)  # (C, D)
        self.register_buffer("progress", torch.tensor(0.0))

    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
        """Embeddings (B, D), labels (B,) -> logits (B, C) float32; without labels nothing is changed.

        Raises:
            TrainingError: a label is none of the classes.
        """
        logits = margin_logits(embeddings, self.prototypes, labels, self._add_margin, scale=self.scale)
        return HeadOutput(logits, labels)

    def _add_margin(self, cosines: Tensor, labels: Tensor) -> Tensor:
        if self.training and len(labels):
            self.progress.lerp_(cosines.detach().gather(1, labels[:, None]).mean(), 1 - self.momentum)
        return add_curricular_margin(cosines, labels, self.margin, self.progress)
