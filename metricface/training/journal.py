"""The journal of a run, which a resumed run leaves equal to that of an uninterrupted one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from metricface.errors import TrainingError
from metricface.files import write_text
from metricface.training.state import Evaluated, StepDone, TrainingState


class Journal:
    """An observer that appends one JSON line per event, and its seconds to a file of their own.

    Args:
        metrics: the file of steps and evaluations.
        times: the file of seconds since the process began to train, by step.
        state: what training starts from; lines of steps that it has not done are dropped.
    """

    def __init__(self, metrics: Path, times: Path, state: TrainingState) -> None:
        self._metrics, self._times = metrics, times
        self._started = time.monotonic()
        if self._metrics.exists():
            kept = _done_before(self._metrics, state)
            write_text(self._metrics, "".join(_line(event) for event in kept))

    def __call__(self, event: StepDone | Evaluated) -> None:
        """Append the event."""
        kind = "step" if isinstance(event, StepDone) else "evaluated"
        with self._metrics.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(_line({"event": kind, **_described(event)}))
        with self._times.open("a", encoding="utf-8", errors="backslashreplace") as file:
            seconds = round(time.monotonic() - self._started, 3)
            file.write(_line({"event": kind, "step": event.step, "seconds": seconds}))


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a journal; a last line that a crash cut short is left out."""
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)


def _done_before(path: Path, state: TrainingState) -> list[dict[str, Any]]:
    """Return the events of a journal that the state has done, refusing a journal that is damaged."""
    try:
        return [event for event in read_journal(path) if _is_done(event, state)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{path}: is damaged ({type(error).__name__}: {' '.join(str(error).split())}). Move it away and go on with "
            "--resume: training is not touched by it, only its curves then begin here."
        ) from error


def _described(event: StepDone | Evaluated) -> dict[str, Any]:
    if isinstance(event, StepDone):
        return asdict(event)
    results = {name: result.to_json() for name, result in event.results.items()}
    return {"step": event.step, "epoch": event.epoch, "results": results}


def _is_done(event: dict[str, Any], state: TrainingState) -> bool:
    if event["event"] == "evaluated":
        return bool(event["epoch"] < state.epoch)
    return bool(event["step"] <= state.step)


def _line(event: dict[str, Any]) -> str:
    return json.dumps(event, allow_nan=False) + "\n"
