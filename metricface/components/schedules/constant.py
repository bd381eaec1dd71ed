"""One learning rate, after a linear warm-up."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Lt

from metricface.components.schedules._warmup import Warmup


class Constant:
    """Factor on the learning rate: up in a line, then 1.

    Args:
        total_steps: optimizer steps of the whole run.
        warmup: share of all steps, in [0, 1).
    """

    def __init__(self, *, total_steps: int, warmup: Annotated[float, Ge(0), Lt(1)] = 0.05) -> None:
        self._warmup = Warmup(total_steps, warmup)

    def __call__(self, step: int) -> float:
        """Return the factor for step `step` (0-based)."""
        return self._warmup(step)
