"""Reading the folders of runs, whole or damaged: `metricface runs`."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metricface.contracts import Result
from metricface.errors import MetricFaceError, UsageError
from metricface.evaluation.stored_results import read_results
from metricface.runs.folder import FINISHED, RUNNING, RunFolder
from metricface.training.journal import read_journal

DAMAGED, STOPPED = "damaged", "stopped"
# A run folder holds one of these from its first moment on (see RunFolder.open).
_MARKS = frozenset({"run.json", "run.lock", "checkpoints", "metrics.jsonl", "report.json"})


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
        record, recipe, report: run.json, recipe.toml and report.json, empty where they cannot be read.
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
        """Epochs evaluated of those planned, "2/10"."""
        return f"{self.epoch}/{'?' if self.epochs is None else self.epochs}"

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
            "figures": figures,
            "problems": list(self.problems),
            "error": self.record.get("error"),
        }

    def text(self, name: str) -> str:
        """Return a text file of the folder, "" where it cannot be read."""
        try:
            return (self.folder / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

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
    found: list[Run] = []
    for folder, folders, files in os.walk(base, onerror=closed.append):
        if _MARKS & {*folders, *files}:
            found.append(read_run(Path(folder)))
            folders.clear()
    found += [Run(Path(error.filename), DAMAGED, "", problems=(str(error.strerror),)) for error in closed]
    return sorted(found, key=lambda run: (run.started, str(run.folder)))


def read_run(folder: Path) -> Run:
    """Read one run folder.

    Raises:
        UsageError: it is none at all.
    """
    if not any((folder / mark).exists() for mark in _MARKS):
        raise UsageError(f"{folder}: no run here (no run.json). The runs that there are: metricface runs list")
    problems: list[str] = []
    record = _read(folder / "run.json", json.loads, problems)
    recipe = _read(folder / "recipe.toml", tomllib.loads, problems)
    if record and not isinstance(record.get("status"), str):
        problems.append("run.json does not say how it ended")
    status = str(record.get("status"))
    last = _last_evaluation(folder / "metrics.jsonl", problems)
    report: Mapping[str, Any] = {}
    if status == FINISHED:
        report = _read(folder / "report.json", json.loads, problems)
        names = ("model/model.json", "model/model.safetensors")
        problems += [f"{name} is missing" for name in names if not (folder / name).is_file()]
    elif status == RUNNING and not RunFolder(folder).in_use():
        status = STOPPED
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
    )


def _read(path: Path, parse: Callable[[str], Any], problems: list[str]) -> Mapping[str, Any]:
    """Return a file's table, or {} after a problem."""
    try:
        table = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        problems.append(f"{path.name} is missing")
        return {}
    except (OSError, ValueError) as error:
        problems.append(f"{path.name} cannot be read ({' '.join(str(error).split())})")
        return {}
    if not isinstance(table, dict):
        problems.append(f"{path.name} is a {type(table).__name__}, not a table")
        return {}
    return table


def _last_evaluation(path: Path, problems: list[str]) -> Mapping[str, Any]:
    """Return the last evaluation that the journal tells of, or {} where there is none yet."""
    try:
        evaluated = [event for event in read_journal(path) if event["event"] == "evaluated"]
        return {"epoch": int(evaluated[-1]["epoch"]), "results": evaluated[-1]["results"]} if evaluated else {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError) as error:
        problems.append(f"{path.name} cannot be read ({' '.join(str(error).split())})")
        return {}


def _time_of(folder: Path) -> str:
    return datetime.fromtimestamp(folder.stat().st_mtime, UTC).isoformat(timespec="seconds")
