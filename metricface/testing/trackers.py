"""The checks of trackers: each watches a made-up run in a folder that is thrown away."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import chdir
from functools import partial
from pathlib import Path
from typing import Any

from metricface.contracts import Ending, TrackedRun, Tracker
from metricface.testing.engine import Suite, Trial, Violation, check
from metricface.testing.randomness import draws_nothing

_RECIPE = {"run.name": "made-up", "run.seed": 0, "head.margin": 0.4, "loss": ["cross-entropy"], "long": "x" * 7000}
_STEP = {"epoch": 0.0, "losses/cross-entropy": 8.5, "grad_norm": 1.0, "learning_rate": 1e-3}
_EVALUATED = {"identification/cross-source.rank1": 0.5, "identification/tar@far=0.001": 0.25, "report/x.rank1": 1.0}


def _watch(trial: Trial, *, status: Ending = "finished", figures: Mapping[str, float] = _STEP) -> Mapping[str, str]:
    """Have a new tracker watch a whole run; return what its `start` gives."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "runs" / "made-up"
        folder.mkdir(parents=True)
        tracker: Tracker = trial.make({})
        place = tracker.start(TrackedRun("made-up", folder, copy.deepcopy(_RECIPE)))
        for step in (1, 2):
            tracker.log(step, dict(figures))
        tracker.log(2, dict(_EVALUATED))
        tracker.finish(status)
        return place


def prepare(trial: Trial) -> Trial:
    """Make one, which nothing must come of before it starts."""
    trial.make({})
    return trial


@check("run", why="A run ends in one of three ways, and all of its figures are told by these calls.")
def run(trial: Trial) -> None:
    """It takes a run from `start` over steps and evaluations to each `finish`, and raises nothing."""
    endings: tuple[Ending, ...] = ("finished", "interrupted", "failed")
    for status in endings:
        _watch(trial, status=status)


@check("place", why="run.json keeps it, to say where a run is seen and to go on there.")
def place(trial: Trial) -> None:
    """`start` returns a mapping of text to text."""
    found: object = _watch(trial)
    if not isinstance(found, Mapping) or not all(isinstance(part, str) for pair in found.items() for part in pair):
        raise Violation(f"start returns {found!r}")


@check("going on", why="A run that was interrupted goes on with what `start` returned before.")
def going_on(trial: Trial) -> None:
    """A new one starts where an earlier one began, with steps done."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "made-up"
        folder.mkdir()
        before: Mapping[str, str] = {}
        for step in (0, 1):
            tracker: Tracker = trial.make({})
            before = tracker.start(TrackedRun("made-up", folder, _RECIPE, step, before))
            tracker.log(step + 1, dict(_STEP))
            tracker.finish("interrupted")


@check("random state", why="A draw from a global generator changes every draw after it, and spoils a resume.")
def random_state(trial: Trial) -> None:
    """It draws from no global random number generator and seeds none."""
    draws_nothing(partial(_watch, trial), "a run of two steps")


@check("surroundings", why="Other parts of the program and the next tracker rely on them.")
def surroundings(trial: Trial) -> None:
    """The working directory and the environment variables that are set stay as they are; it may set others."""
    variables = dict(os.environ)
    with tempfile.TemporaryDirectory() as parent, chdir(parent):  # an earlier run may have gone elsewhere already
        folder = Path.cwd()
        _watch(trial)
        if Path.cwd() != folder:
            raise Violation(f"the working directory is {Path.cwd()} afterwards")
    changed = [name for name, value in variables.items() if os.environ.get(name) != value]
    if changed:
        raise Violation(f"the variable {changed[0]} is {os.environ.get(changed[0])!r} afterwards")


@check("inputs", why="The next tracker is given the same figures.")
def inputs(trial: Trial) -> None:
    """The recipe and the figures that it is given are not edited."""
    recipe, figures = copy.deepcopy(_RECIPE), dict(_STEP)
    with tempfile.TemporaryDirectory() as parent:
        tracker: Tracker = trial.make({})
        steps: tuple[tuple[str, Callable[[], Any]], ...] = (
            ("recipe", lambda: tracker.start(TrackedRun("made-up", Path(parent), recipe))),
            ("figures", lambda: tracker.log(1, figures)),
            ("figures", lambda: tracker.finish("finished")),
        )
        for what, call in steps:
            call()
            if (recipe, figures) != (_RECIPE, _STEP):
                raise Violation(f"the {what} are edited")


SUITE = Suite(prepare, (run, place, going_on, random_state, surroundings, inputs))
