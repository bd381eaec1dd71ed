"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Lt

from metricface.errors import RecipeError


def sgd(
    *,
    parameter_groups: Iterable[dict[str, Any]],
    lr: Annotated[float, Gt(0)] = 0.1,
    weight_decay: Annotated[float, Ge(0)] = 5e-4,
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9,
    nesterov: bool = False,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum; the defaults are those of the ArcFace paper (arXiv 1801.07698 3.2).

    Args:
        parameter_groups: torch's groups; what a group sets for itself wins.
        lr: learning rate before the schedule.
        weight_decay: factor on the parameter that is added to its gradient.
        momentum: decay of the velocity, 0 for none.
        nesterov: look ahead along the velocity; needs momentum.

    Raises:
        RecipeError: `nesterov` without momentum.

    Source:
        torch.optim.SGD, where the learning rate multiplies the whole velocity.
    """
    if nesterov and momentum == 0:
        raise RecipeError("optimizer.nesterov: needs momentum above 0 (got 0). Set momentum = 0.9 or leave it out.")
    return torch.optim.SGD(parameter_groups, lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov)
