"""Adam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Lt


def adam(
    *,
    parameter_groups: Iterable[dict[str, Any]],
    lr: Annotated[float, Gt(0)] = 1e-3,
    weight_decay: Annotated[float, Ge(0)] = 0.0,
    betas: tuple[Annotated[float, Ge(0), Lt(1)], Annotated[float, Ge(0), Lt(1)]] = (0.9, 0.999),
) -> torch.optim.Optimizer:
    """Adam; its weight decay is added to the gradient (see adamw for the decoupled one).

    Args:
        parameter_groups: torch's groups; what a group sets for itself wins.
        lr: learning rate before the schedule.
        weight_decay: factor on the parameter that is added to its gradient.
        betas: decay of the running means of the gradient and of its square.

    Source:
        arXiv 1412.6980 algorithm 1, as torch.optim.Adam.
    """
    return torch.optim.Adam(parameter_groups, lr=lr, weight_decay=weight_decay, betas=betas)
