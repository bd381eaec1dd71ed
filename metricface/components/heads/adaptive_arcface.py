"""Adaptive-margin ArcFace: the fewer photos a class has, the larger its margin."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from metricface.contracts import HeadOutput
from metricface.errors import DataError, RecipeError
from metricface.functional.margins import add_angular_margin
from metricface.functional.prototypes import margin_logits, new_prototypes


class AdaptiveArcFace(nn.Module):
    """Scaled cosines to one prototype per class, with a margin on the target's angle by the size of its class.

    A class of n photos has the margin lower + (upper - lower) * (fewest / n)^power, where `fewest` is the size of the
    smallest class that has photos: the rarest class has margin_upper, and a very common one approaches margin_lower.
    Few photos say little of where a class ends, so more room is kept around them. Classes of equal size all have
    margin_upper. This does not move the prior of the classes, as weights or a balanced sampler do, so it goes with
    them. Everything is computed in float32, also under autocast.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, people of the train split.
        class_counts: (C,) photos of each class in the train split.
        scale: factor on the cosines.
        margin_lower, margin_upper: radians (0.5 radians are 28.6 degrees).
        power: 0 gives every class margin_upper.

    Raises:
        RecipeError: margin_lower is above margin_upper, or `class_counts` is of other classes.
        DataError: no class has a photo.

    Source:
        "Google Landmark Recognition 2020 Competition Third Place Solution", arXiv 2010.05350: dynamic margins
        a * n^-lambda + b for ArcFace, with a = 0.5, b = 0.05 and lambda = 1/4. Here b is margin_lower and a is chosen
        as in LDAM, arXiv 1906.07413 section 3 (margins proportional to n^(-1/4), of which the largest is given), so
        that margins do not depend on how many photos there are in all. Other deviations as in the head `arcface`.
    """

    margins: Tensor

    def __init__(
        self,
        *,
        embedding_dim: int,
        num_classes: int,
        class_counts: npt.NDArray[np.int64],
        scale: Annotated[float, Gt(0)] = 64.0,
        margin_lower: Annotated[float, Ge(0), Le(math.pi / 2)] = 0.05,
        margin_upper: Annotated[float, Ge(0), Le(math.pi / 2)] = 0.5,
        power: Annotated[float, Ge(0)] = 0.25,
    ) -> None:
        super().__init__()
        if margin_lower > margin_upper:
            raise RecipeError(
                "head adaptive-arcface: margin_lower must not be above margin_upper "
                f"(got {margin_lower} and {margin_upper}). Lower margin_lower or raise margin_upper."
            )
        counts = np.asarray(class_counts, np.float64)
        if len(counts) != num_classes:
            raise RecipeError(
                f"head adaptive-arcface: class_counts must have a number for each of the {num_classes} classes "
                f"(got {len(counts)}). Pass the counts of the train split."
            )
        if not counts.any():
            raise DataError("head adaptive-arcface: no class has a photo. Add photos to the train split.")
        fewest = counts[counts > 0].min()
        # A class without photos is never a target; its margin is any number that is finite.
        shares = (fewest / np.maximum(counts, fewest)) ** power
        self.scale = scale
        self.prototypes = new_prototypes(num_classes, embedding_dim)  # (C, D)
        margins = torch.from_numpy(margin_lower + (margin_upper - margin_lower) * shares).float()  # (C,)
        self.register_buffer("margins", margins, persistent=False)  # no state: it follows from the data

    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
        """Embeddings (B, D), labels (B,) -> logits (B, C) float32; without labels there is no margin.

        Raises:
            TrainingError: a label is none of the classes.
        """

        def add_margin(cosines: Tensor, targets: Tensor) -> Tensor:
            return add_angular_margin(cosines, targets, self.margins[targets])

        logits = margin_logits(embeddings, self.prototypes, labels, add_margin, scale=self.scale)
        return HeadOutput(logits, labels)
