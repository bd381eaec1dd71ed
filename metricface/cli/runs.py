"""metricface runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from metricface.cli.arguments import AsJson, settings_table


def list_runs(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to look, at any depth.")] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """List runs, the newest last: what they are, how far they came, and their headline figures."""
    from metricface.runs.read import find_runs

    found = find_runs(folder)
    if as_json:
        print(json.dumps([run.to_json() for run in found], indent=2))
        return
    from metricface.cli.render import Screen, headline
    from metricface.cli.tables import table

    if not found:
        with Screen() as screen:
            screen.say(f"no run in {folder}")
        return
    rows = []
    for run in found:
        figures = "; ".join(headline(name, result) for name, result in run.results.items())
        seed = "-" if run.seed is None else str(run.seed)
        rows.append((str(run.folder), str(run.name or "-"), seed, run.status, run.progress, run.trouble or figures))
    table(("folder", "recipe", "seed", "status", "epoch", "figures"), rows, copied=True)


def show_run(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Show one run: its record, its recipe with every default, and its report."""
    from metricface.runs.read import read_run

    run = read_run(folder)
    if as_json:
        print(json.dumps(run.contents(), indent=2))
        return
    from metricface.cli.render import show_markdown
    from metricface.evaluation.report.markdown import run_markdown

    show_markdown(run_markdown(run.contents(), run.recipe_text, run.report_text))


def watch_run(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)],
) -> None:
    """Follow a run: its last step and evaluation, and new ones as they come, until it ends or Ctrl-C."""
    from metricface.cli.render import headline
    from metricface.runs.folder import FINISHED, RUNNING, RunFolder
    from metricface.runs.watch import watch

    for look in watch(folder):
        for epoch, results in look.evaluated:
            figures = "; ".join(headline(name, result) for name, result in results.items())
            print(f"epoch {epoch} evaluated: {figures or 'no evaluator'}", flush=True)
        if look.step:
            print(look.step, flush=True)
        if look.status != RUNNING:
            run = RunFolder(folder)
            error = run.record().get("error")
            way = "" if look.status == FINISHED else f". Go on: {run.resume_line}"
            print(f"{look.status}{f' ({error})' if error else ''}{way}", flush=True)


def export_runs(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.", show_default=False)],
    to: Annotated[str, typer.Option("--to", metavar="TRACKER", help="tensorboard, mlflow, wandb or a plugin's.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A parameter, as a recipe would set it.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also where it is there already, as another run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put runs that are over into a tracker: recipe, steps, evaluations, report, and how each ended."""
    from metricface.cli.render import Screen
    from metricface.components.registry import installed_registries
    from metricface.runs.export import export, tracker_of

    registries, table = installed_registries(), settings_table(settings or ())
    places = {}
    with Screen() as screen:
        for folder in folders:
            tracker = tracker_of(to, table, registries)
            places[str(folder)] = export(folder, to, tracker, screen.progress(f"exporting {folder}"), again=again)
    if as_json:
        print(json.dumps(places, indent=2))
        return
    for name, place in places.items():
        print(f"{name} is in {to}: {', '.join(f'{key} {value}' for key, value in place.items())}")
