"""Margins on the cosine of the target class."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def add_angular_margin(cosine: Tensor, targets: Tensor, margin: float) -> Tensor:
    """Replace the target's cos(theta) by cos(theta + margin), as long as theta + margin <= pi.

    Beyond that cos(theta + margin) would rise again, so cos(theta) - margin * sin(margin) takes over, which keeps
    falling (the authors' code, `easy_margin=False`). cos(theta + margin) is computed without arccos, whose gradient is
    infinite at |cos| = 1: values and gradients are finite on all of [-1, 1], and exact at its ends.

    Args:
        cosine: (B, C), float32.
        targets: (B,) int64, column of each row's class.
        margin: radians, in [0, pi / 2].

    Returns:
        (B, C): a new tensor that differs from `cosine` in the target columns only.

    Source:
        ArcFace, arXiv 1801.07698 eq. 3.
    """
    columns = targets[:, None]  # (B, 1)
    target = cosine.gather(1, columns)
    # The clamp also cuts the gradient where the sine is zero; the square root would make it infinite there.
    sine = ((1 - target) * (1 + target)).clamp(min=torch.finfo(cosine.dtype).tiny).sqrt()
    added = target * math.cos(margin) - sine * math.sin(margin)
    beyond = target - margin * math.sin(margin)
    return cosine.scatter(1, columns, torch.where(target >= -math.cos(margin), added, beyond))


def add_cosine_margin(cosine: Tensor, targets: Tensor, margin: float) -> Tensor:
    """Replace the target's cos(theta) by cos(theta) - margin.

    Args:
        cosine: (B, C), float32.
        targets: (B,) int64, column of each row's class.
        margin: a difference of cosines, at least 0.

    Returns:
        (B, C): a new tensor that differs from `cosine` in the target columns only.

    Source:
        CosFace, arXiv 1801.09414 eq. 4.
    """
    columns = targets[:, None]  # (B, 1)
    return cosine.scatter(1, columns, cosine.gather(1, columns) - margin)
