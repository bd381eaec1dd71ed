"""Every file name of a run, and nothing else; other rooms are given the paths."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from metricface.model.description import IN_RUN

# A run folder holds one of these from its first moment on (see RunFolder.open).
MARKS = frozenset({"run.json", "run.lock", "checkpoints", "metrics.jsonl", "report.json"})


def run_folders(base: Path, closed: list[OSError] | None = None) -> Iterator[Path]:
    """Yield every run folder at or below a folder, in no order; what cannot be opened goes into `closed`."""
    for folder, folders, files in os.walk(base, onerror=None if closed is None else closed.append):
        if MARKS & {*folders, *files}:
            yield Path(folder)
            folders.clear()


@dataclass(frozen=True, slots=True)
class RunPaths:
    """Where everything of one run lies in its folder, whether it is there or not.

    Args:
        path: the folder itself.
    """

    path: Path

    @property
    def record_path(self) -> Path:
        """What the run is made of and how it ended."""
        return self.path / "run.json"

    @property
    def lock_path(self) -> Path:
        """Locked while a process runs there."""
        return self.path / "run.lock"

    @property
    def recipe_path(self) -> Path:
        """The recipe with every default."""
        return self.path / "recipe.toml"

    @property
    def metrics_path(self) -> Path:
        """The journal: a line for each step and evaluation."""
        return self.path / "metrics.jsonl"

    @property
    def times_path(self) -> Path:
        """The seconds of the journal's lines."""
        return self.path / "times.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        """What a resumed run goes on from."""
        return self.checkpoints / "last.pt"

    @property
    def best_checkpoint(self) -> Path:
        """That of the best epoch, where one is selected."""
        return self.checkpoints / "best.pt"

    @property
    def model(self) -> Path:
        """The model folder."""
        return self.path / IN_RUN

    @property
    def outcomes(self) -> Path:
        """The folder of what became of every probe, a file for each evaluator."""
        return self.path / "outcomes"

    @property
    def report_path(self) -> Path:
        """The report as one document."""
        return self.path / "report.json"

    @property
    def report_page(self) -> Path:
        """The report to read."""
        return self.path / "report.md"

    @property
    def losses_picture(self) -> Path:
        """The losses over the steps."""
        return self.path / "losses.png"

    @property
    def metrics_picture(self) -> Path:
        """The figures over the epochs."""
        return self.path / "metrics.png"

    @property
    def resume_line(self) -> str:
        """The command that goes on with the run."""
        return shlex.join(["metricface", "run", str(self.recipe_path), "--out", str(self.path), "--resume"])
