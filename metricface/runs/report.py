"""The end of a run: the chosen epoch evaluated, and its model, report and plots written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metricface import __version__
from metricface.build.experiment import Experiment, describe_photos
from metricface.build.model_folder import save_model
from metricface.contracts import Console
from metricface.contracts.results import Result
from metricface.data.photos import Photos
from metricface.evaluation.report.classification_plots import plot_classification
from metricface.evaluation.report.index_plot import plot_outcomes
from metricface.evaluation.report.markdown import report_markdown
from metricface.evaluation.report.outcomes import file_stem, write_outcomes
from metricface.evaluation.report.plots import plot_losses, plot_metrics
from metricface.files import write_json, write_text
from metricface.machine import peak_memory
from metricface.runs.folder import RunFolder, now
from metricface.training.checkpoint import read_checkpoint
from metricface.training.state import TrainingState
from metricface.training.trainer import Plan


def evaluate(
    experiment: Experiment, photos: Photos, console: Console, calibration: Photos | None = None
) -> dict[str, Result]:
    """Run every evaluator of the recipe on one split, with what is fitted on another."""
    subject = experiment.subject(photos, console.progress("evaluating"), calibration=calibration)
    return {name: evaluator(subject) for name, evaluator in experiment.evaluators.items()}


def write_report(
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
        results = evaluate(experiment, experiment.val, console, experiment.calibration)
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
    folder.write_record(peak_memory=peak_memory())
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
        plot_outcomes(result.outcomes, folder.path / f"{file_stem(name)}.png")
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
