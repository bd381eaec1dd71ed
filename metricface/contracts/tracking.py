"""What shows a run elsewhere as it goes: the contract of trackers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

Ending = Literal["finished", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What a tracker is told of the run that begins.

    Args:
        name: of the recipe.
        folder: of the run; a tracker may make a folder of its own in it.
        recipe: the recipe with every default, by the keys that `--set` takes: {"head.margin": 0.4}.
        step: optimizer steps that are done. What was logged of later ones is done again, with the same figures.
        before: what `start` returned when the run went on in this tracker earlier; empty for a new one.
    """

    name: str
    folder: Path
    recipe: Mapping[str, Any]
    step: int = 0
    before: Mapping[str, str] = field(default_factory=dict)


class Tracker(Protocol):
    """Shows a run elsewhere as it goes. Whatever it raises is told once and ends its part, never the run.

    `start` begins, or goes on where `run.before` says, and returns what tells where that is, for instance
    {"folder": ...}: run.json keeps it. `log` gets the figures of a step (1-based, over all epochs), by the names of
    metrics.jsonl; evaluations come as a further call for the step before them. `finish` comes once, at the end.
    A constructor that finds a package missing refuses with a PluginError: `metricface check` tells that beforehand.
    """

    def start(self, run: TrackedRun) -> Mapping[str, str]: ...

    def log(self, step: int, figures: Mapping[str, float]) -> None: ...

    def finish(self, status: Ending) -> None: ...
