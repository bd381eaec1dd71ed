"""A run that is over, put into a tracker: `metricface runs export`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metricface.build.components import component, configured
from metricface.components.registry import Registries
from metricface.contracts import Ending, Tracker
from metricface.contracts.console import Progress, Silent
from metricface.errors import DataError, MetricFaceError, UsageError
from metricface.evaluation.stored_results import read_results
from metricface.runs.folder import FAILED, FINISHED, INTERRUPTED, STOPPED, RunFolder
from metricface.runs.read import read_run
from metricface.runs.tracking import Tracking, result_figures, step_figures
from metricface.training.journal import read_journal

_ENDINGS: Mapping[str, Ending] = {
    FINISHED: "finished",
    INTERRUPTED: "interrupted",
    STOPPED: "interrupted",
    FAILED: "failed",
}


class _Refusing(Silent):
    """A console for which a tracker's failure is an error: here there is no run that goes on."""

    def say(self, text: str) -> None:
        """Raise what is said."""
        raise MetricFaceError(text)


def tracker_of(name: str, settings: Mapping[str, Any], registries: Registries) -> Tracker:
    """Return a tracker with arguments as a recipe would set them.

    Raises:
        RecipeError: the arguments are not those that it takes. PluginError: there is none, or its package is missing.
    """
    made: Tracker = component(registries, configured(registries, "tracker", name, settings, f"--to {name}"))
    return made


def export(folder: Path, name: str, tracker: Tracker, progress: Progress, *, again: bool = False) -> dict[str, str]:
    """Put the steps, evaluations, report and ending of a run into a tracker; return what tells where it is.

    Args:
        folder: of a run that is over, however it ended.
        name: of the tracker; run.json has under it where the run is.
        tracker: not started yet.
        progress: told of the events.
        again: also where the run is in this tracker already, as a further run there.

    Raises:
        UsageError: it is running, damaged, or there already. DataError: metrics.jsonl cannot be read.
        MetricFaceError: the tracker failed.
    """
    run, paths = read_run(folder), RunFolder(folder)
    if run.status not in _ENDINGS:
        why = run.trouble or "wait for its end"
        raise UsageError(f"{folder}: is {run.status} ({why}). Export runs that are over and whole.")
    there = run.record.get("trackers", {})
    if name in there and not again:
        where = ", ".join(f"{key} {value}" for key, value in there[name].items())
        raise UsageError(f"{folder}: is in {name} already ({where}). --again makes another run of it there.")
    logged = _logged(paths)
    tracking = Tracking({name: tracker}, _Refusing(), "What was written stays there; the run folder is as it was.")
    place = tracking.start(paths, 0, before={})[name]
    for done, (step, figures) in enumerate(logged, 1):
        tracking.log(step, figures)
        progress(done, len(logged))
    if run.report:
        tracking.report(run.results)
    tracking.finish(_ENDINGS[run.status])
    paths.write_record(trackers={**there, name: place})
    return place


def _logged(paths: RunFolder) -> list[tuple[int, dict[str, float]]]:
    """Return (step, figures) of every line of the journal."""
    path = paths.metrics_path
    try:
        found = [(int(event["step"]), _figures(event)) for event in read_journal(path)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        said = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read ({type(error).__name__}: {said}). Put back a copy of it.") from error
    if not found:
        raise DataError(f"{path}: has no step yet, so there is nothing to export.")
    return found


def _figures(event: Mapping[str, Any]) -> dict[str, float]:
    if event["event"] == "step":
        return step_figures(event)
    return result_figures(read_results(event["results"]))
