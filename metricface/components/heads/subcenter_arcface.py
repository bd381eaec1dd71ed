"""Sub-center ArcFace: several prototypes per class, so that wrongly labelled photos need not spoil the main one."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from metricface.contracts import HeadOutput
from metricface.functional.labels import check_labels
from metricface.functional.margins import add_angular_margin
from metricface.functional.prototypes import margin_logits, new_prototypes
from metricface.functional.similarity import cosine_float32


class SubCenterArcFace(nn.Module):
    """Scaled cosines to the nearest of several prototypes per class, with a margin on the target class's angle.

    cos(theta) of a class is the largest of its `sub_centers` cosines, with and without labels; the target's becomes
    cos(theta + margin). Photos of a class need be near one of its prototypes only: most gather at one, the dominant,
    and wrongly labelled or very hard ones at others. Everything is computed in float32, also under autocast.

    The paper uses it in two steps: train with 3 prototypes; then find the photos that are more than 75 degrees
    (1.309 radians) from their class's dominant prototype (`outliers`), take them out of the data and train anew with
    the head `arcface`. With clean data one prototype does better.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, people of the train split.
        sub_centers: prototypes per class; K of the paper. 1 gives the head `arcface`.
        scale: factor on the cosines; s of the paper.
        margin: radians; m of the paper (0.5 radians are 28.6 degrees).

    Source:
        "Sub-center ArcFace: Boosting Face Recognition by Large-scale Noisy Web Faces", ECCV 2020, sections 3.2 to 3.4.
        Deviations as in the head `arcface`. `prototypes` has those of a class one after the other, (C * K, D).
    """

    def __init__(
        self,
        *,
        embedding_dim: int,
        num_classes: int,
        sub_centers: Annotated[int, Ge(1)] = 3,
        scale: Annotated[float, Gt(0)] = 64.0,
        margin: Annotated[float, Ge(0), Le(math.pi / 2)] = 0.5,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.sub_centers = sub_centers
        self.scale = scale
        self.margin = margin
        self.prototypes = new_prototypes(num_classes * sub_centers, embedding_dim)  # (C * K, D)

    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
        """Embeddings (B, D), labels (B,) -> logits (B, C) float32; without labels there is no margin.

        Raises:
            TrainingError: a label is none of the classes.
        """
        add_margin = partial(add_angular_margin, margin=self.margin)
        logits = margin_logits(
            embeddings, self.prototypes, labels, add_margin, scale=self.scale, sub_centers=self.sub_centers
        )
        return HeadOutput(logits, labels)

    @torch.no_grad()
    def outliers(self, embeddings: Tensor, labels: Tensor, *, angle: float = math.radians(75)) -> Tensor:
        """Return which photos are farther than `angle` from their class's dominant prototype.

        A class's dominant prototype is the one that most of its photos given here are nearest to (the first of equals).

        Args:
            embeddings: (N, D) of all photos of the train split, any length.
            labels: (N,) int64.
            angle: radians.

        Returns:
            (N,) bool.

        Raises:
            TrainingError: a label is none of the classes.
        """
        check_labels(labels, self.num_classes)
        cosines = cosine_float32(embeddings, self.prototypes).view(-1, self.num_classes, self.sub_centers)  # (N, C, K)
        own = cosines[torch.arange(len(labels), device=labels.device), labels]  # (N, K)
        chosen = labels * self.sub_centers + own.argmax(dim=1)  # (N,)
        votes = torch.bincount(chosen, minlength=len(self.prototypes)).view(-1, self.sub_centers)  # (C, K)
        to_dominant = own.gather(1, votes.argmax(dim=1)[labels, None])[:, 0]  # (N,)
        return to_dominant < math.cos(angle)
