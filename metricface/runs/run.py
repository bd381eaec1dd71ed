"""One run from recipe to report: lock, fit, evaluate, report, model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from metricface import __version__
from metricface.build.experiment import Experiment, build_experiment, describe_photos
from metricface.build.model_folder import save_model
from metricface.components.registry import Registries, installed_registries
from metricface.contracts import Console, Silent
from metricface.contracts.results import Result
from metricface.data.photos import Photos
from metricface.evaluation.report.classification_plots import plot_classification
from metricface.evaluation.report.markdown import report_markdown
from metricface.evaluation.report.outcomes import file_stem, write_outcomes
from metricface.evaluation.report.plots import plot_losses, plot_metrics
from metricface.evaluation.stored_results import read_results
from metricface.files import write_json, write_text
from metricface.machine import computing_threads
from metricface.recipe.load import load_recipe
from metricface.recipe.schema import Recipe
from metricface.runs.blame import named
from metricface.runs.choose import choose_folder, find_finished
from metricface.runs.folder import FINISHED, RunFolder, now
from metricface.runs.read import read_run
from metricface.runs.record import other_threads, record_parts
from metricface.training.checkpoint import read_checkpoint
from metricface.training.interruption import Interruption
from metricface.training.journal import Journal
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
    out: Path | None = None,
    resume: bool = False,
    observers: Sequence[Observer] = (),
) -> Finished:
    """Train and evaluate a recipe; leave the model, the report and the record in the run folder.

    Args:
        recipe: a checked recipe, or the path of one.
        registries: kind -> registry; None looks at the installed packages.
        console: told of notices and progress; None for a silent one.
        out: the run folder itself; None for runs/<name>/<UTC>-<hash4>/.
        resume: go on with an unfinished run of this recipe (anew where it has no checkpoint yet); of a finished one
            in `out`, return the report that is there.
        observers: see every step and evaluation, after the journal.

    Raises:
        Interrupted: a checkpoint is saved unless training had not begun. MetricFaceError: what the user can fix.
    """
    registries = installed_registries() if registries is None else registries
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(Path(recipe), registries=registries)
    console = Silent() if console is None else console
    if resume and out is not None and (done := finished_run(recipe, out, registries)) is not None:
        console.say(f"finished already in {done.folder}")
        return done
    chosen = choose_folder(recipe, out, registries, resume=resume)
    with Interruption() as interruption, chosen.open(recipe) as folder, computing_threads(recipe.train.threads):
        plan = _plan(recipe, folder)
        experiment = _begin(recipe, registries, console, folder, plan)
        journal = Journal(folder.metrics_path, folder.times_path, experiment.state)
        latest = _train(experiment, plan, console, interruption, (journal, *observers))
        return Finished(folder.path, _report(experiment, plan, folder, console, latest))


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


def _train(
    experiment: Experiment, plan: Plan, console: Console, interruption: Interruption, observers: Sequence[Observer]
) -> dict[int, dict[str, Result]]:
    """Train to the end; return the last evaluation, by its epoch: the report need not repeat it."""
    latest: dict[int, dict[str, Result]] = {}

    def evaluate(state: TrainingState) -> dict[str, Result]:
        latest.clear()
        latest[state.epoch] = _evaluate(experiment, experiment.calibration or experiment.val, console)
        return latest[state.epoch]

    with named(experiment):
        fit(experiment.state, experiment.loader, evaluate, plan, interruption, observers)
    return latest


def _evaluate(
    experiment: Experiment, photos: Photos, console: Console, calibration: Photos | None = None
) -> dict[str, Result]:
    """Run every evaluator of the recipe on one split, with what is fitted on another."""
    subject = experiment.subject(photos, console.progress("evaluating"), calibration=calibration)
    return {name: evaluator(subject) for name, evaluator in experiment.evaluators.items()}


def _report(
    experiment: Experiment,
    plan: Plan,
    folder: RunFolder,
    console: Console,
    latest: Mapping[int, dict[str, Result]],
) -> dict[str, Any]:
    """Evaluate the chosen epoch on val unless `latest` has that already; write the model, the report and the plots."""
    training = _trained(experiment, plan)
    console.say(training)
    chosen, selection = _choose_epoch(experiment, plan)
    trained = {"epoch": chosen + 1, "ema": experiment.state.ema > 0, "selection": selection}
    results = latest.get(chosen) if experiment.calibration is None else None
    if results is None:
        results = _evaluate(experiment, experiment.val, console, experiment.calibration)
    write_outcomes(folder.outcomes, results)
    digest = save_model(folder.model, experiment, trained, results)
    recipe, record = experiment.recipe, folder.record()
    report = {
        "metricface": __version__,
        "run": {"name": recipe.run.name, "seed": recipe.run.seed, "started": record.get("started"), "finished": now()},
        "recipe_digest": plan.recipe_digest,
        "data": {"root": str(recipe.data.root), "split": "val", **describe_photos(experiment.val)},
        "model": {"sha256": digest, **trained},
        "training": training,
        "selection": selection,
        "notices": record["notices"],
        "results": {name: result.to_json() for name, result in results.items()},
        "versions": record["versions"],
        "device": record["device"],
        "precision": experiment.state.precision.reason,
    }
    write_json(folder.report_path, report)
    write_text(folder.report_page, report_markdown(results, report))
    _draw(experiment, folder, results)
    return report


def _draw(experiment: Experiment, folder: RunFolder, results: Mapping[str, Result]) -> None:
    """Write the plots; a second classifier's pictures stand beside those of the first one."""
    plot_losses(folder.metrics_path, folder.losses_picture)
    plot_metrics(folder.metrics_path, folder.metrics_picture)
    drawn: list[Path] = []
    for name, result in results.items():
        suffix = f"_{file_stem(name)}" if drawn else ""
        drawn += plot_classification(result.outcomes, experiment.val.label_names, folder.path, suffix=suffix)


def _trained(experiment: Experiment, plan: Plan) -> str:
    """Return how long training was, of a state that stands at its end."""
    state, train = experiment.state, experiment.recipe.train
    if state.best is None or state.epoch == plan.epochs:
        return f"{state.epoch} of {plan.epochs} epochs"
    return (
        f"stopped early after epoch {state.epoch} of {plan.epochs}: {train.patience} evaluations without a better "
        f"{train.select} than the {state.best.value:.4f} of epoch {state.best.epoch + 1}"
    )


def _choose_epoch(experiment: Experiment, plan: Plan) -> tuple[int, str]:
    """Put the best epoch's weights into the state if one is selected; return the epoch (0-based) and how."""
    state: TrainingState = experiment.state
    if plan.select is None or state.best is None:
        return plan.epochs - 1, "the last epoch: nothing was selected"
    best = state.best
    state.load_state_dict(read_checkpoint(plan.best, plan.recipe_digest))
    metric = experiment.recipe.train.select
    if experiment.calibration is not None:
        where = f"on {experiment.recipe.data.calibration}, apart from the people reported here"
    else:
        where = "on val itself, so the figures here are optimistic (name another split as data.calibration)"
    return best.epoch, f"epoch {best.epoch + 1} of {plan.epochs}, the best {metric} ({best.value:.4f}) {where}"
