"""The warm-up that schedules share."""

from __future__ import annotations


class Warmup:
    """Factor on the learning rate at the start: up in a line to 1, where it stays.

    With W steps of warm-up, step 0 already moves (factor 1 / (W + 1)) and step W is the first with factor 1.

    Args:
        total_steps: optimizer steps of the whole run.
        share: of all steps, in [0, 1).

    Source:
        The gradual warm-up of arXiv 1706.02677 section 2.2, from zero.
    """

    def __init__(self, total_steps: int, share: float) -> None:
        self.steps = int(share * total_steps)

    def __call__(self, step: int) -> float:
        """Return the factor for step `step` (0-based)."""
        return min(1.0, (step + 1) / (self.steps + 1))
