"""Cosine decay after a linear warm-up."""

from __future__ import annotations

import math
from typing import Annotated

from annotated_types import Ge, Le, Lt

from metricface.components.schedules._warmup import Warmup


class Cosine:
    """Factor on the learning rate: up in a line, then down along half a cosine.

    The first step already moves, and `final` is reached right after the last step, so that no step is spent at a
    learning rate of zero.

    Args:
        total_steps: optimizer steps of the whole run.
        warmup: share of all steps, in [0, 1).
        final: factor at the end.

    Source:
        SGDR without restarts, arXiv 1608.03983 eq. 5; the warm-up of schedules.warmup.
    """

    def __init__(
        self,
        *,
        total_steps: int,
        warmup: Annotated[float, Ge(0), Lt(1)] = 0.05,
        final: Annotated[float, Ge(0), Le(1)] = 0.0,
    ) -> None:
        self._warmup = Warmup(total_steps, warmup)
        self._decay_steps = total_steps - self._warmup.steps
        self._final = final

    def __call__(self, step: int) -> float:
        """Return the factor for step `step` (0-based); `final` after the last one."""
        if step < self._warmup.steps:
            return self._warmup(step)
        progress = min(1.0, (step - self._warmup.steps) / self._decay_steps)
        return self._final + (1 - self._final) * (1 + math.cos(math.pi * progress)) / 2
