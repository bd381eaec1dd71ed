"""metricface run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metricface.errors import UsageError, counted
from metricface.machine import reuse_freed_memory

if TYPE_CHECKING:
    from metricface.cli.render import Screen
    from metricface.components.registry import Registries
    from metricface.recipe.schema import Recipe

_DRY_KEYS = {"time": "training_takes", "memory": "memory"}
RecipeFile = Annotated[Path, typer.Argument(help="A recipe, for instance experiments/task_b.toml.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one key: --set train.epochs=2, --set loss.NAME.weight=1"),
]
Out = Annotated[
    Path | None, typer.Option(help="The run folder itself. Default: runs/<name>/<UTC>-<hash4>/", show_default=False)
]
Seeds = Annotated[
    str | None,
    typer.Option(
        metavar="N,N,...",
        help="One run for each seed, then mean and standard deviation. --out gets seed-N/ for each.",
        show_default=False,
    ),
]


def run(
    recipe: RecipeFile,
    overrides: Overrides = None,
    out: Out = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run of this recipe.")] = False,
    seeds: Seeds = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check recipe, data and model; train nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON document.")] = False,
) -> None:
    """Train and evaluate a recipe; leaves model, report and record in the run folder."""
    from metricface.cli.render import Screen
    from metricface.cli.training_view import TrainingView
    from metricface.components.registry import installed_registries
    from metricface.recipe.load import load_recipe

    registries = installed_registries()
    sets = [overrides or []] if seeds is None else _with_seeds(overrides or [], seeds)
    recipes = [load_recipe(recipe, one, registries) for one in sets]
    if any(one.train.recompute for one in recipes):  # memory matters more than time
        reuse_freed_memory(False)
    with Screen() as screen:
        if dry_run:
            document = _dry_run(recipes, registries, screen, out=out, resume=resume, with_seeds=seeds is not None)
        elif seeds is not None:
            from metricface.runs.seeds import run_seeds

            document = run_seeds(recipes, registries, screen, out=out, resume=resume, observers=(TrainingView(screen),))
        else:
            from metricface.runs.run import run as run_recipe

            finished = run_recipe(
                recipes[0], registries, screen, out=out, resume=resume, observers=(TrainingView(screen),)
            )
            document = {"folder": str(finished.folder), **finished.report}
    if as_json:
        print(json.dumps(document, indent=2))
    elif dry_run:
        _show_dry(document)
    else:
        _show_finished(document, with_seeds=seeds is not None)


def _show_dry(document: Mapping[str, Any]) -> None:
    """Print what a dry run found for people; see Experiment.describe and estimate."""
    from metricface.cli.tables import table

    splits = {name: value for name, value in document.items() if isinstance(value, Mapping)}
    steps, batches = document["steps"], document["batches_per_epoch"]
    rows = [(name, ", ".join(f"{number:,} {what}" for what, number in of.items())) for name, of in splits.items()]
    rows += [
        ("steps", f"{steps:,}, {batches:,} in each of {counted(steps // max(batches, 1), 'epoch', 'epochs')}"),
        ("parameters", f"{document['parameters']:,}"),
        *((name, str(document[key])) for name, key in _DRY_KEYS.items() if key in document),
    ]
    table(("what", "found"), rows)


def _show_finished(document: Mapping[str, Any], *, with_seeds: bool) -> None:
    """Print the report of a run, or of several, and what lies where."""
    from metricface.cli.render import show_report
    from metricface.evaluation.stored_results import read_results

    show_report(read_results(document["results"]), document)
    left = "seeds.json, seeds.md" if with_seeds else "model/, report.md, report.json, metrics.jsonl, plots"
    print(f"{document['folder']}: {left}")


def _with_seeds(overrides: Sequence[str], text: str) -> list[list[str]]:
    """Return the overrides of each run of `--seeds 0,1,2`."""
    seeds = [part.strip() for part in text.split(",")]
    if not all(seed.isascii() and seed.isdigit() for seed in seeds) or len({int(seed) for seed in seeds}) < len(seeds):
        raise UsageError(
            f"--seeds: must be different whole numbers with commas between (got {text!r}). For instance --seeds 0,1,2"
        )
    if any(override.partition("=")[0].strip() == "run.seed" for override in overrides):
        raise UsageError("--seeds: sets run.seed, and so does --set. Leave one of them out.")
    return [[*overrides, f"run.seed={int(seed)}"] for seed in seeds]


def _dry_run(
    recipes: Sequence[Recipe],
    registries: Registries,
    screen: Screen,
    *,
    out: Path | None,
    resume: bool,
    with_seeds: bool,
) -> dict[str, Any]:
    """Check the folders and build everything; train and write nothing; return what there is."""
    from metricface.build.experiment import build_experiment
    from metricface.machine import computing_threads
    from metricface.runs.estimate import estimate
    from metricface.runs.seeds import check_seeds

    if with_seeds:
        for recipe, done in zip(recipes, check_seeds(recipes, registries, out=out, resume=resume), strict=True):
            state = "would run" if done is None else f"finished already in {done.folder}"
            screen.say(f"seed {recipe.run.seed}: {state}")
    with computing_threads(recipes[0].train.threads):  # the check of the precision and the estimate are for these
        experiment = build_experiment(recipes[0], registries, screen)
        for notice in experiment.notices:
            screen.say(notice)
        return {**experiment.describe(), **estimate(experiment)}
