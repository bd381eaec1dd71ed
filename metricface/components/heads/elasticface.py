"""ElasticFace: a margin drawn anew for every photo of every batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from metricface.contracts import HeadOutput
from metricface.errors import RecipeError
from metricface.functional.margins import add_angular_margin, add_cosine_margin
from metricface.functional.prototypes import margin_logits, new_prototypes

_MEANS = {"arc": 0.5, "cos": 0.35}
_LARGEST = {"arc": math.pi / 2, "cos": 1.0}


class ElasticFace(nn.Module):
    """Scaled cosines to one prototype per class, with a margin from a normal distribution for each photo's target.

    The target's cos(theta) becomes cos(theta + E) with the variant "arc" and cos(theta) - E with "cos", where E is
    drawn from N(margin, margin_std). Everything is computed in float32, also under autocast.

    Draws come from a generator of the head's own, seeded when it is made by torch's, which the run's seed sets. Its
    state is saved with the run, the same on every process, and moved by training batches only (with labels, in
    training mode); in evaluation mode every target gets `margin`.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, people of the train split.
        variant: "arc" puts the margin on the angle (radians), "cos" on the cosine (a difference of cosines).
        sort: ElasticFace+: the batch's largest margins go to the photos that are farthest from their prototype.
        scale: factor on the cosines; s of the paper.
        margin: mean of the distribution, m of the paper: radians with "arc" (0.5 if left out), a difference of
            cosines with "cos" (0.35 if left out).
        margin_std: standard deviation, sigma of the paper, in the unit of `margin`. The paper has 0.05, and with
            `sort` 0.0175 for "arc" and 0.025 for "cos".

    Raises:
        RecipeError: `margin` is above 1 with "cos".

    Source:
        ElasticFace, arXiv 2109.09416 section 3. Deviations from the authors' code (fdbtrs/ElasticFace,
        utils/losses.py): draws are cut to [0, pi / 2] ("arc") or [0, 1] ("cos"); a target with theta + E > pi goes on
        falling as in the head `arcface` (there it rises); margin_std is 0.05 by default (0.0125 there); no arccos (see
        functional/margins.py). `sort` is the paper's: the photo of rank k, nearest first, gets the k-th smallest
        margin. The authors' `plus` indexes the sorted margins by the argsort of the cosines, which is no rank but its
        inverse: photo i gets the margin whose number is that of the i-th nearest photo, which says nothing of photo i.
    """

    conformance_exempt: ClassVar[Mapping[str, str]] = {
        "permutation": "margins are drawn for the photos in the order of the batch"
    }

    def __init__(
        self,
        *,
        embedding_dim: int,
        num_classes: int,
        variant: Literal["arc", "cos"] = "arc",
        sort: bool = False,
        scale: Annotated[float, Gt(0)] = 64.0,
        margin: Annotated[float, Ge(0), Le(math.pi / 2)] | None = None,
        margin_std: Annotated[float, Ge(0), Le(math.pi / 2)] = 0.05,
    ) -> None:
        super().__init__()
        self.variant = variant
        self.sort = sort
        self.scale = scale
        self.margin = _MEANS[variant] if margin is None else margin
        self.margin_std = margin_std
        if self.margin > _LARGEST[variant]:
            raise RecipeError(
                f'head elasticface: with variant = "cos" margin is a difference of cosines, at most 1 (got {margin}). '
                'Lower it, or take variant = "arc".'
            )
        self.prototypes = new_prototypes(num_classes, embedding_dim)  # (C, D)
        self._generator = torch.Generator().manual_seed(int(torch.randint(2**63 - 1, ())))

    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
        """Embeddings (B, D), labels (B,) -> logits (B, C) float32; without labels there is no margin.

        Raises:
            TrainingError: a label is none of the classes.
        """
        logits = margin_logits(embeddings, self.prototypes, labels, self._add_margin, scale=self.scale)
        return HeadOutput(logits, labels)

    def get_extra_state(self) -> Tensor:
        """Return the generator's state, bytes."""
        return self._generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        """Go on drawing from where another head's `get_extra_state` was."""
        self._generator.set_state(state.cpu())

    def _add_margin(self, cosines: Tensor, labels: Tensor) -> Tensor:
        add = add_angular_margin if self.variant == "arc" else add_cosine_margin
        if not self.training:
            return add(cosines, labels, self.margin)
        # Drawn on the CPU, so that the same seed draws the same margins on every device.
        drawn = self.margin + self.margin_std * torch.randn(len(labels), generator=self._generator)
        margins = drawn.clamp(0, _LARGEST[self.variant]).to(cosines.device)
        if self.sort:
            nearest_first = cosines.detach().gather(1, labels[:, None])[:, 0].argsort(descending=True, stable=True)
            margins = torch.empty_like(margins).scatter(0, nearest_first, margins.sort().values)
        return add(cosines, labels, margins)
