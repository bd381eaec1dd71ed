"""One run from recipe to report: lock, fit, evaluate, report, model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from metricface.build.experiment import Experiment, build_experiment
from metricface.components.registry import Registries, installed_registries
from metricface.contracts import Console, Silent
from metricface.contracts.results import Result
from metricface.evaluation.stored_results import read_results
from metricface.machine import computing_threads
from metricface.recipe.load import load_recipe
from metricface.recipe.schema import Recipe
from metricface.runs.blame import named
from metricface.runs.choose import choose_folder, find_begun, find_finished
from metricface.runs.folder import FINISHED, RunFolder
from metricface.runs.going_on import telling_how_to_go_on
from metricface.runs.read import read_run
from metricface.runs.record import other_threads, record_parts
from metricface.runs.report import evaluate as evaluate_split
from metricface.runs.report import write_report
from metricface.runs.tracking import tracked
from metricface.training.checkpoint import read_checkpoint
from metricface.training.interruption import Interruption
from metricface.training.journal import Journal
from metricface.training.pace import Course, announce
from metricface.training.precision import Precision
from metricface.training.state import Observer, TrainingState
from metricface.training.trainer import Plan, fit


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished run: its folder and its report.json."""

    folder: Path
    report: dict[str, Any]

    @property
    def results(self) -> dict[str, Result]:
        """The results of the report, by evaluator."""
        return read_results(self.report["results"])


def run(
    recipe: Recipe | str | PathLike[str],
    registries: Registries | None = None,
    console: Console | None = None,
    *,
    out: str | PathLike[str] | None = None,
    resume: bool = False,
    observers: Sequence[Observer] = (),
) -> Finished:
    """Train and evaluate a recipe; leave the model, the report and the record in the run folder.

    Args:
        recipe: a checked recipe, or the path of one.
        registries: kind -> registry; None looks at the installed packages.
        console: told of notices and progress; None for a silent one.
        out: the run folder itself; None for runs/<name>/<UTC>-<hash4>/.
        resume: go on with an unfinished run of this recipe (anew where it has no checkpoint yet), which must be there;
            of a finished one, return the report that is there.
        observers: see every step and evaluation, after the journal; one with a `begin` (training/pace.py) is told
            before the first step how many there are.

    Raises:
        Interrupted: a checkpoint is saved unless training had not begun. MetricFaceError: what the user can fix.
    """
    registries = installed_registries() if registries is None else registries
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(Path(recipe), registries=registries)
    console, out = console or Silent(), None if out is None else Path(out)
    if resume and (done := _nothing_left(recipe, out, registries)) is not None:
        console.say(f"finished already in {done.folder}")
        return done
    chosen = choose_folder(recipe, out, registries, resume=resume)
    threads = computing_threads(recipe.train.threads)
    with Interruption() as interruption, chosen.open(recipe) as folder, telling_how_to_go_on(folder), threads:
        plan = _plan(recipe, folder)
        experiment = _begin(recipe, registries, console, folder, plan)
        journal = Journal(folder.metrics_path, folder.times_path, experiment.state)
        announce(course_of(experiment), observers)
        return _finish(experiment, plan, folder, console, interruption, (journal, *observers))


def _nothing_left(recipe: Recipe, out: Path | None, registries: Registries) -> Finished | None:
    """Return the finished run that `--resume` finds where there is no unfinished one."""
    if out is None and find_begun(recipe, None, registries) is not None:
        return None
    return finished_run(recipe, out, registries)


def course_of(experiment: Experiment) -> Course:
    """Return what the training of an experiment consists of."""
    train, state = experiment.recipe.train, experiment.state
    return Course(
        epochs=train.epochs,
        steps=len(experiment.loader),
        batch_size=train.batch_size,
        evaluate_every=train.evaluate_every,
        device=str(state.device),
        weights={term.name: term.weight for term in state.losses},
    )


def finished_run(recipe: Recipe, out: Path | None, registries: Registries) -> Finished | None:
    """Return an earlier run of an equal recipe, in `out` or under runs/<name>/, that is finished and whole.

    Raises:
        UsageError: `out` holds a damaged run.
    """
    folder = find_finished(recipe, out, registries)
    if folder is None:
        return None
    found = read_run(folder)
    return Finished(folder, dict(found.report)) if found.status == FINISHED else None


def _plan(recipe: Recipe, folder: RunFolder) -> Plan:
    """Return the training plan of an open folder; `select = "identification.cross-source.rank1"` becomes a function."""
    train = recipe.train

    def select(results: Mapping[str, Result]) -> float:
        evaluator = max((name for name in results if train.select.startswith(f"{name}.")), key=len)
        return results[evaluator].metric(train.select.removeprefix(f"{evaluator}."))

    return Plan(
        epochs=train.epochs,
        last=folder.last_checkpoint,
        best=folder.best_checkpoint,
        recipe_digest=folder.record()["recipe_digest"],  # a resumed run's may be older than today's defaults
        evaluate_every=train.evaluate_every,
        select=None if train.select == "last" else select,
        patience=train.patience,
    )


def _begin(recipe: Recipe, registries: Registries, console: Console, folder: RunFolder, plan: Plan) -> Experiment:
    """Return the experiment, as its last checkpoint has it where the run goes on from one, and record its parts."""
    saved = None
    if folder.resumed and plan.last.exists():
        saved = read_checkpoint(plan.last, plan.recipe_digest)
    precision = None if saved is None else Precision(**saved["precision"])
    experiment = build_experiment(recipe, registries, console, precision=precision)
    for notice in experiment.notices:
        console.say(notice)
    console.say(f"{'going on in' if saved else 'running in'} {folder.path}")
    if saved is not None:
        experiment.state.load_state_dict(saved)
        if told := other_threads(folder):
            console.say(told)
    record_parts(folder, experiment, fresh=saved is None)
    return experiment


def _finish(
    experiment: Experiment,
    plan: Plan,
    folder: RunFolder,
    console: Console,
    interruption: Interruption,
    observers: Sequence[Observer],
) -> Finished:
    """Train to the end and report, with the recipe's trackers looking on after all others."""
    with tracked(experiment.trackers, folder, experiment.state.step, console) as tracking:
        latest = _train(experiment, plan, console, interruption, (*observers, tracking))
        done = Finished(folder.path, write_report(experiment, plan, folder, console, latest))
        tracking.report(done.results)
    return done


def _train(
    experiment: Experiment, plan: Plan, console: Console, interruption: Interruption, observers: Sequence[Observer]
) -> dict[int, dict[str, Result]]:
    """Train to the end; return the last evaluation, by its epoch: the report need not repeat it."""
    latest: dict[int, dict[str, Result]] = {}

    def evaluate(state: TrainingState) -> dict[str, Result]:
        latest.clear()
        latest[state.epoch] = evaluate_split(experiment, experiment.calibration or experiment.val, console)
        return latest[state.epoch]

    with named(experiment):
        fit(experiment.state, experiment.loader, evaluate, plan, interruption, observers)
    return latest
