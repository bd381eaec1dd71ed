"""metricface run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe, for instance experiments/task_b.toml.", show_default=False)],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change one key: --set train.epochs=2, --set loss.NAME.weight=1"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder itself. Default: runs/<name>/<UTC>-<hash4>/", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run of this recipe.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check recipe, data and model; train nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON document.")] = False,
) -> None:
    """Train and evaluate a recipe; leaves model, report and record in the run folder."""
    from metricface import build
    from metricface.cli.render import Screen, show_report
    from metricface.recipe.load import load_recipe
    from metricface.registry import registries

    known = registries()
    checked = load_recipe(recipe, overrides or (), known)
    with Screen() as screen:
        if dry_run:
            experiment = build.experiment(checked, known, screen)
            document = experiment.describe()
            for notice in experiment.notices:
                screen.say(notice)
        else:
            from metricface.run import run as run_recipe

            finished = run_recipe(checked, known, screen, out=out, resume=resume, observers=(screen.observe,))
            document = {"folder": str(finished.folder), **finished.report}
    if as_json:
        print(json.dumps(document, indent=2))
    elif dry_run:
        print("\n".join(f"{key}: {value}" for key, value in document.items()))
    else:
        show_report(document)
        print(f"{document['folder']}: model/, report.md, report.json, metrics.jsonl, plots")
