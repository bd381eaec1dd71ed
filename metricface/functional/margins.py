"""Margins on the cosine of the target class."""

from __future__ import annotations

import math

import torch
from torch import Tensor

Margin = float | Tensor  # of all rows, or of each: (B,)


def add_angular_margin(cosine: Tensor, targets: Tensor, margin: Margin) -> Tensor:
    """Replace the target's cos(theta) by cos(theta + margin), as long as 0 <= theta + margin <= pi.

    Beyond pi cos(theta + margin) would rise again, so cos(theta) - margin * sin(margin) takes over, which keeps
    falling (`easy_margin=False` in an older version of the authors' code; today's lets it rise). Below 0, where only a
    negative margin leads, it would fall again, so 1 takes over. cos(theta + margin) is computed without arccos, whose
    gradient is infinite at |cos| = 1: values and gradients are finite on all of [-1, 1], and exact at its ends. The
    gradient is that of cos(theta + margin), and goes through the margin where that is a tensor.

    Args:
        cosine: (B, C), float32.
        targets: (B,) int64, column of each row's class.
        margin: radians, in [-pi / 2, pi / 2]; as a tensor it may carry a gradient.

    Returns:
        (B, C): a new tensor that differs from `cosine` in the target columns only.

    Source:
        ArcFace, arXiv 1801.07698 eq. 3; negative margins as in AdaFace, arXiv 2204.00964.
    """
    columns = targets[:, None]  # (B, 1)
    target = cosine.gather(1, columns)
    angle = _per_row(margin)
    cos_margin = angle.cos() if isinstance(angle, Tensor) else math.cos(angle)
    sin_margin = angle.sin() if isinstance(angle, Tensor) else math.sin(angle)
    # The clamp also cuts the gradient where the sine is zero; the square root would make it infinite there.
    sine = ((1 - target) * (1 + target)).clamp(min=torch.finfo(cosine.dtype).tiny).sqrt()
    added = target * cos_margin - sine * sin_margin
    beyond_pi = (target < -cos_margin) & (angle > 0)
    below_zero = (target > cos_margin) & (angle < 0)
    moved = torch.where(beyond_pi, target - angle * sin_margin, added).masked_fill(below_zero, 1.0)
    return cosine.scatter(1, columns, moved)


def add_cosine_margin(cosine: Tensor, targets: Tensor, margin: Margin) -> Tensor:
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
    return cosine.scatter(1, columns, cosine.gather(1, columns) - _per_row(margin))


def add_quality_margin(cosine: Tensor, targets: Tensor, margin: float, quality: Tensor) -> Tensor:
    """Replace the target's cos(theta) by cos(theta - margin * quality) - margin * (1 + quality).

    At quality -1 that is ArcFace, at 0 CosFace; at 1 the angle is eased, and far photos of the class count most.

    Args:
        cosine: (B, C), float32.
        targets: (B,) int64, column of each row's class.
        margin: radians on the angle and a difference of cosines after it, in [0, pi / 2].
        quality: (B,) in [-1, 1].

    Returns:
        (B, C): a new tensor that differs from `cosine` in the target columns only.

    Source:
        AdaFace, arXiv 2204.00964 section 3.3 (g_angle and g_add).
    """
    turned = add_angular_margin(cosine, targets, -margin * quality)
    return add_cosine_margin(turned, targets, margin * (1 + quality))


def add_curricular_margin(cosine: Tensor, targets: Tensor, margin: float, progress: Tensor) -> Tensor:
    """Add an angular margin to the target, and weigh the classes that are then nearer by how far training is.

    A class whose cosine is above cos(theta_target + margin) is hard, and its cos(theta) becomes
    cos(theta) * (progress + cos(theta)).

    Args:
        cosine: (B, C), float32.
        targets: (B,) int64, column of each row's class.
        margin: radians, in [0, pi / 2].
        progress: scalar in [-1, 1], t of the paper.

    Returns:
        (B, C): a new tensor that differs from `cosine` in target columns and hard classes.

    Source:
        CurricularFace, arXiv 2004.00288 section 3.2 (T and N).
    """
    columns = targets[:, None]  # (B, 1)
    added = add_angular_margin(cosine, targets, margin)
    hard = (cosine > added.gather(1, columns)).scatter(1, columns, False)
    return torch.where(hard, cosine * (progress + cosine), added)


def _per_row(margin: Margin) -> Margin:
    """Return margins (B,) as a column (B, 1); a number stays one."""
    return margin[:, None] if isinstance(margin, Tensor) else margin
