"""A learning rate that falls at regular intervals, after a linear warm-up."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Lt

from metricface.components.schedules._warmup import Warmup
from metricface.errors import RecipeError


class Step:
    """Factor on the learning rate: up in a line, and multiplied by `factor` at each full interval of the run.

    Intervals are counted from the start of the run, warm-up included, and end at the nearest step.

    Args:
        total_steps: optimizer steps of the whole run.
        every: length of an interval as a share of the run, in (0, 1): 0.3 of 10 epochs is 3 epochs.
        factor: at the end of each interval, in (0, 1).
        warmup: share of all steps, in [0, 1).

    Raises:
        RecipeError: an interval is shorter than one step.
    """

    def __init__(
        self,
        *,
        total_steps: int,
        every: Annotated[float, Gt(0), Lt(1)] = 0.3,
        factor: Annotated[float, Gt(0), Lt(1)] = 0.1,
        warmup: Annotated[float, Ge(0), Lt(1)] = 0.05,
    ) -> None:
        self._interval = every * total_steps
        if round(self._interval, 6) < 1:
            raise RecipeError(
                f"schedule.every: {every} of {total_steps} steps is less than one step. "
                f"Take a share above {1 / total_steps:.2g}, or train for longer."
            )
        self._factor = factor
        self._warmup = Warmup(total_steps, warmup)

    def __call__(self, step: int) -> float:
        """Return the factor for step `step` (0-based)."""
        passed = int((step + 0.5) // self._interval)  # half a step: ends are rounded, and floats cannot miss one
        return self._warmup(step) * self._factor**passed
