"""TensorBoard's event files in the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metricface.components.trackers._packages import must_have

if TYPE_CHECKING:
    from metricface.contracts import Ending, TrackedRun


class TensorBoard:
    """Scalars for TensorBoard. Look at them with `tensorboard --logdir runs`; needs metricface[tensorboard].

    Args:
        folder: of the event files, relative to the run folder.
    """

    def __init__(self, *, folder: str = "tensorboard") -> None:
        must_have("tensorboard", "metricface[tensorboard]", "tensorboard")
        self.folder = folder
        self._writer: Any = None
        self._step = 0

    def start(self, run: TrackedRun) -> Mapping[str, str]:
        """Begin, or go on after the steps that are done: TensorBoard hides later ones that were written before."""
        from torch.utils.tensorboard import SummaryWriter

        folder = (run.folder / self.folder).absolute()
        self._writer = SummaryWriter(str(folder), purge_step=run.step + 1, flush_secs=30)
        self._step = run.step
        if not run.before:
            lines = (f"    {key} = {value!r}" for key, value in run.recipe.items())  # a block of code in Markdown
            self._writer.add_text("recipe", "\n".join(lines), run.step)
        return {"folder": str(folder)}

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Write the figures as scalars."""
        self._step = step
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def finish(self, status: Ending) -> None:
        """Write how it ended, and everything to disk."""
        self._writer.add_text("status", status, self._step)
        self._writer.close()
