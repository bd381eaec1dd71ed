"""Reading the folders of runs, whole or damaged: `metricface runs`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metricface.contracts import Result
from metricface.errors import MetricFaceError, UsageError
from metricface.evaluation.stored_results import read_results
from metricface.runs.folder import DAMAGED, FINISHED, RUNNING, RunFolder
from metricface.runs.how_far import pace_of
from metricface.runs.paths import run_folders
from metricface.runs.tables import Table
from metricface.training.pace import Pace, duration


@dataclass(frozen=True, slots=True)
class Run:
    """What is known of one run.

    Args:
        folder: where it is.
        status: of its record; "stopped" when that says running and no process is, "damaged" when there are problems.
        started: ISO 8601 in UTC; the time of the folder where the record does not say.
        epoch: epochs evaluated.
        results: of the report, of the last evaluation where there is none yet; by evaluator.
        problems: what is missing or cannot be read.
        pace: of a run that is running, where its folder tells.
        record, recipe, report: as the folder has them, empty where they cannot be read.
    """

    folder: Path
    status: str
    started: str
    epoch: int = 0
    results: Mapping[str, Result] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    pace: Pace | None = None

    @property
    def name(self) -> str | None:
        """The recipe's name."""
        return self.record.get("name")

    @property
    def seed(self) -> int | None:
        """The recipe's seed."""
        return self.record.get("seed")

    @property
    def epochs(self) -> int | None:
        """Epochs planned."""
        train = self.recipe.get("train")
        return train.get("epochs") if isinstance(train, Mapping) else None

    @property
    def progress(self) -> str:
        """Epochs evaluated of those planned, "2/10"; of a running one also "step 12 of 37, 1 min 40 s left"."""
        epochs = f"{self.epoch}/{'?' if self.epochs is None else self.epochs}"
        if self.pace is None or self.pace.seconds_left is None:
            return epochs
        step = self.pace.course.position(self.pace.step).partition(", ")[2]
        return f"{epochs}, {step}, {duration(self.pace.seconds_left)} left"

    @property
    def trouble(self) -> str:
        """The problems, or the error that ended it, on one line."""
        return " ".join(("; ".join(self.problems) or str(self.record.get("error") or "")).split())

    def to_json(self) -> dict[str, Any]:
        """Return what `runs list` says of it; figures by "evaluator.reading.figure"."""
        figures = {
            f"{evaluator}.{name}": figure.value
            for evaluator, result in self.results.items()
            for name, figure in result.figures().items()
        }
        return {
            "folder": str(self.folder),
            "name": self.name,
            "seed": self.seed,
            "status": self.status,
            "started": self.started,
            "epoch": self.epoch,
            "epochs": self.epochs,
            "step": None if self.pace is None else self.pace.step,
            "steps": None if self.pace is None else self.pace.course.total,
            "seconds_left": None if self.pace is None else self.pace.seconds_left,
            "figures": figures,
            "problems": list(self.problems),
            "error": self.record.get("error"),
        }

    @property
    def recipe_text(self) -> str:
        """The recipe as it was written, "" where it cannot be read."""
        return _text(RunFolder(self.folder).recipe_path)

    @property
    def report_text(self) -> str:
        """The report to read, "" where it cannot be read."""
        return _text(RunFolder(self.folder).report_page)

    def contents(self) -> dict[str, Any]:
        """Return what `runs show` says of it."""
        return {
            "folder": str(self.folder),
            "status": self.status,
            "problems": list(self.problems),
            "record": dict(self.record),
            "recipe": dict(self.recipe),
            "report": dict(self.report),
        }


def find_runs(base: Path) -> list[Run]:
    """Return every run at or below a folder, the oldest first; folders that cannot be opened come as damaged.

    Raises:
        UsageError: there is no such folder.
    """
    if not base.is_dir():
        raise UsageError(f"{base}: no such folder. Name the one that holds your runs (metricface runs list DIR).")
    closed: list[OSError] = []
    found = [read_run(folder) for folder in run_folders(base, closed)]
    found += [Run(Path(error.filename), DAMAGED, "", problems=(str(error.strerror),)) for error in closed]
    return sorted(found, key=lambda run: (run.started, str(run.folder)))


def read_run(folder: Path) -> Run:
    """Read one run folder.

    Raises:
        UsageError: it is none at all.
    """
    run = RunFolder(folder)
    if not run.is_run():
        raise UsageError(
            f"{folder}: no run here (no {run.record_path.name}). The runs that there are: metricface runs list"
        )
    record, recipe, last = run.record(), run.recipe(), run.last_evaluation()
    status = run.status(record)
    report = run.report() if status == FINISHED else Table()
    problems = [table.problem for table in (record, recipe, last, report) if table.problem]
    if status == FINISHED:
        problems += run.missing_model_files()
    results: dict[str, Result] = {}
    try:
        results = read_results(report.get("results", last.get("results", {})))
    except MetricFaceError as error:
        problems.append(f"its results are not what MetricFace writes ({error})")
    return Run(
        folder=folder,
        status=DAMAGED if problems else status,
        started=str(record.get("started") or _time_of(folder)),
        epoch=last.get("epoch", -1) + 1,
        results=results,
        problems=tuple(problems),
        record=record,
        recipe=recipe,
        report=report,
        pace=pace_of(run) if status == RUNNING else None,
    )


def _text(path: Path) -> str:
    """Return a text file, "" where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _time_of(folder: Path) -> str:
    return datetime.fromtimestamp(folder.stat().st_mtime, UTC).isoformat(timespec="seconds")
