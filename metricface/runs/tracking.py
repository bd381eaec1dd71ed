"""A run shown by trackers as it goes. What fails in one is told once; the journal has everything, the run goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any

from metricface.contracts import Console, Ending, Result, TrackedRun, Tracker
from metricface.errors import Interrupted
from metricface.recipe.difference import flat_keys
from metricface.recipe.schema import without_trackers
from metricface.runs.folder import RunFolder
from metricface.training.state import Evaluated, StepDone

REST = "It is left out; the run goes on, and metrics.jsonl has everything."


class Tracking:
    """An observer that hands figures to trackers, each until it fails.

    Args:
        trackers: by `Recipe.named_trackers`.
        console: told once of each that fails.
        rest: what to say besides of one that fails.
    """

    def __init__(self, trackers: Mapping[str, Tracker], console: Console, rest: str = REST) -> None:
        self._trackers, self._console, self._rest = dict(trackers), console, rest
        self._step = 0

    def start(self, folder: RunFolder, step: int, before: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
        """Begin with `step` steps done, or go on where `before` says; return what tells where each is."""
        self._step = step
        name = str(folder.record().get("name") or folder.path.name)
        recipe = flat_keys(without_trackers(folder.recipe()))
        found: dict[str, dict[str, str]] = {}

        def begin(name_here: str, tracker: Tracker) -> None:
            run = TrackedRun(name, folder.path, recipe, step, before.get(name_here, {}))
            found[name_here] = {str(key): str(value) for key, value in tracker.start(run).items()}

        self._each("start", begin)
        return found

    def __call__(self, event: StepDone | Evaluated) -> None:
        """Log a step or an evaluation."""
        self.log(event.step, figures_of(event))

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Log figures of a step."""
        self._step = step
        self._each("log", lambda _, tracker: tracker.log(step, dict(figures)))

    def report(self, results: Mapping[str, Result]) -> None:
        """Log the results of the report, at the last step."""
        self.log(self._step, result_figures(results, "report/"))

    def finish(self, status: Ending) -> None:
        """Tell all that are left how it ended."""
        self._each("finish", lambda _, tracker: tracker.finish(status))

    def _each(self, what: str, call: Callable[[str, Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                with redirect_stdout(sys.stderr):  # what a tracker prints is no part of a command's answer
                    call(name, tracker)
            except (Exception, SystemExit) as error:
                del self._trackers[name]
                said = " ".join(str(error).split())[:300]
                cause = f"{type(error).__name__}: {said}" if said else type(error).__name__
                self._console.say(f"tracker {name!r}: {what} failed ({cause}). {self._rest}")


@contextmanager
def tracked(trackers: Mapping[str, Tracker], folder: RunFolder, step: int, console: Console) -> Iterator[Tracking]:
    """Yield the observer of a run that begins or goes on with `step` steps done, and tell trackers how it ended."""
    tracking = Tracking(trackers, console)
    before = folder.record().get("trackers", {})
    places = tracking.start(folder, step, before)
    if places:
        folder.write_record(trackers={**before, **places})
    for name, place in places.items():
        console.say(told(name, place))
    try:
        yield tracking
    except BaseException as error:
        stopped = isinstance(error, Interrupted | KeyboardInterrupt)
        tracking.finish("interrupted" if stopped else "failed")
        raise
    tracking.finish("finished")


def told(name: str, place: Mapping[str, str]) -> str:
    """Return where a tracker has a run: "tracker 'mlflow': tracking_uri sqlite:///..., run_id 1f..."."""
    return f"tracker {name!r}: {', '.join(f'{key} {value}' for key, value in place.items()) or 'started'}"


def figures_of(event: StepDone | Evaluated) -> dict[str, float]:
    """Return the figures of an event by the names of metrics.jsonl: losses/NAME, EVALUATOR/READING.FIGURE."""
    if isinstance(event, StepDone):
        return step_figures(
            {
                "epoch": event.epoch,
                "losses": event.losses,
                "grad_norm": event.grad_norm,
                "learning_rate": event.learning_rate,
            }
        )
    return result_figures(event.results)


def step_figures(line: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures of a "step" line of metrics.jsonl."""
    numbers = {key: float(line[key]) for key in ("epoch", "grad_norm", "learning_rate")}
    return {**numbers, **{f"losses/{name}": float(value) for name, value in line["losses"].items()}}


def result_figures(results: Mapping[str, Result], prefix: str = "") -> dict[str, float]:
    """Return the figures of results by evaluator; "report/" goes before those of a report."""
    return {
        f"{prefix}{evaluator}/{name}": float(figure.value)
        for evaluator, result in results.items()
        for name, figure in result.figures().items()
    }
