"""How far a run is and how fast, read from its folder while another process may be training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from metricface.runs.folder import RunFolder
from metricface.training.pace import Pace


class Tail:
    """The new whole lines of a file of JSON lines, from the beginning again where it was written anew."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0

    def new(self) -> list[dict[str, Any]]:
        """Return the documents since the last call; a file that is not there has none."""
        try:
            with self._path.open("rb") as file:
                if file.seek(0, 2) < self._at:
                    self._at = 0
                file.seek(self._at)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._at += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


def feed(pace: Pace, lines: list[dict[str, Any]]) -> None:
    """Take in lines of a run's file of seconds."""
    for line in lines:
        pace.add(int(line["step"]), float(line["seconds"]), evaluated=line["event"] == "evaluated")


def pace_of(run: RunFolder) -> Pace | None:
    """Return how fast a run is and where it stands; None where its folder does not tell."""
    course = run.course()
    if course is None:
        return None
    pace = Pace(course)
    try:
        feed(pace, Tail(run.times_path).new())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pace if pace.step else None
