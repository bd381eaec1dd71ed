"""A learning rate that falls at given points of the run, after a linear warm-up."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import Annotated

from annotated_types import Ge, Gt, Lt, MinLen

from metricface.components.schedules._warmup import Warmup
from metricface.errors import RecipeError

Share = Annotated[float, Gt(0), Lt(1)]


class MultiStep:
    """Factor on the learning rate: up in a line, and multiplied by `factor` at each milestone.

    Args:
        total_steps: optimizer steps of the whole run.
        milestones: shares of the run in (0, 1), increasing, warm-up included; each takes effect at the nearest step.
        factor: at each milestone, in (0, 1).
        warmup: share of all steps, in [0, 1).

    Raises:
        RecipeError: milestones do not increase.
    """

    def __init__(
        self,
        *,
        total_steps: int,
        milestones: Annotated[tuple[Share, ...], MinLen(1)] = (0.5, 0.75),
        factor: Annotated[float, Gt(0), Lt(1)] = 0.1,
        warmup: Annotated[float, Ge(0), Lt(1)] = 0.05,
    ) -> None:
        if any(one >= other for one, other in pairwise(milestones)):
            raise RecipeError(
                f"schedule.milestones: shares of the run must increase (got {list(milestones)}). "
                f"Write {sorted(set(milestones))}."
            )
        self._milestones = [share * total_steps for share in milestones]
        self._factor = factor
        self._warmup = Warmup(total_steps, warmup)

    def __call__(self, step: int) -> float:
        """Return the factor for step `step` (0-based)."""
        passed = bisect_left(self._milestones, step + 0.5)  # half a step: to the nearest one
        return self._warmup(step) * self._factor**passed
