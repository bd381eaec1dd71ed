"""Following a run from its folder while another process trains: `metricface runs watch`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metricface.contracts import Result
from metricface.evaluation.stored_results import read_results
from metricface.runs.folder import RUNNING, RunFolder
from metricface.runs.how_far import Tail, feed
from metricface.runs.read import read_run
from metricface.training.pace import Pace, duration

_SECONDS = 1.0  # between two looks


@dataclass(frozen=True, slots=True)
class Look:
    """What is new in a run folder.

    Args:
        step: the newest step in words, "" where there is no new one.
        evaluated: (epoch, results by evaluator) of new evaluations, oldest first; epochs are counted from 1.
        status: of the run.
    """

    step: str
    evaluated: tuple[tuple[int, dict[str, Result]], ...]
    status: str


def watch(folder: Path, wait: Callable[[], None] = lambda: time.sleep(_SECONDS)) -> Iterator[Look]:
    """Yield the last step and evaluation of a run, then what is new whenever something is, until the run has ended.

    Args:
        folder: of the run.
        wait: called between two looks.

    Raises:
        UsageError: there is no run. MetricFaceError: an evaluation cannot be read.
    """
    read_run(folder)
    run = RunFolder(folder)
    journal, times = Tail(run.metrics_path), Tail(run.times_path)
    pace: Pace | None = None
    first = True
    while True:
        status = run.status(run.record())  # before the lines are read, so that none is missed at the end
        events = journal.new()
        course = run.course()
        if pace is None and course is not None:
            pace = Pace(course)
        if pace is not None:
            feed(pace, times.new())
        steps = [event for event in events if event["event"] == "step"]
        evaluated = [(event["epoch"] + 1, read_results(event["results"])) for event in events if "results" in event]
        if first or events or status != RUNNING:
            told = _step(steps[-1], pace, left=status == RUNNING) if steps else ""
            yield Look(told, tuple(evaluated[-1:] if first else evaluated), status)
        if status != RUNNING:
            return
        first = False
        wait()


def _step(event: dict[str, Any], pace: Pace | None, *, left: bool) -> str:
    """Return a step of the journal in words."""
    where = f"epoch {event['epoch'] + 1}, step {event['step']}" if pace is None else pace.course.position(event["step"])
    parts = [where, *(f"{name} {value:.4f}" for name, value in event["losses"].items())]
    if pace is not None and left and pace.seconds_left is not None:
        parts += [f"{pace.photos_per_second or 0:.0f} photos/s", f"{duration(pace.seconds_left)} left"]
    return ", ".join(parts)
