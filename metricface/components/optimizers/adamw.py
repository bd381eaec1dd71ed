"""Adam with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Lt


def adamw(
    *,
    parameter_groups: Iterable[dict[str, Any]],
    lr: Annotated[float, Gt(0)] = 1e-3,
    weight_decay: Annotated[float, Ge(0)] = 0.05,
    betas: tuple[Annotated[float, Ge(0), Lt(1)], Annotated[float, Ge(0), Lt(1)]] = (0.9, 0.999),
) -> torch.optim.Optimizer:
    """Adam whose weight decay shrinks the parameters directly.

    Args:
        parameter_groups: torch's groups; what a group sets for itself wins.
        lr: learning rate before the schedule.
        weight_decay: a step multiplies the parameter by 1 - lr * weight_decay.
        betas: decay of the running means of the gradient and of its square.

    Source:
        arXiv 1711.05101 algorithm 2, as torch.optim.AdamW (the decay is multiplied by lr there).
    """
    return torch.optim.AdamW(parameter_groups, lr=lr, weight_decay=weight_decay, betas=betas)
