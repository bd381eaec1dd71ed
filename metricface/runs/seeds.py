"""One recipe with several seeds, and how much its figures move: `metricface run --seeds`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metricface import __version__
from metricface.components.registry import Registries
from metricface.contracts import Console, Result
from metricface.errors import Interrupted, UsageError
from metricface.evaluation.over_runs import over_runs
from metricface.evaluation.report.markdown import report_markdown
from metricface.files import write_json, write_text
from metricface.recipe.schema import Recipe
from metricface.runs.choose import choose_folder, find_begun, holds_run_of
from metricface.runs.going_on import seeds_interrupted
from metricface.runs.run import Finished, finished_run, run
from metricface.runs.run_set import RunSet
from metricface.training.state import Observer


def run_seeds(
    recipes: Sequence[Recipe],
    registries: Registries,
    console: Console,
    *,
    out: Path | None = None,
    resume: bool = False,
    observers: Sequence[Observer] = (),
) -> dict[str, Any]:
    """Run recipes that differ in their seed alone; write and return seeds.json, and seeds.md beside it.

    A finished run is not done again; all finished runs in `out` count, without `out` those of this call.

    Args:
        recipes: checked recipes.
        registries: kind -> registry.
        console: told of notices and progress.
        out: gets seed-<seed>/ for each run, and the two files; None for folders under runs/<name>/, see `RunSet.of`.
        resume: go on with unfinished runs; those that are not there yet begin.
        observers: see every step and evaluation of every run.

    Raises:
        Interrupted: none begins after it. UsageError: as `check_seeds`. MetricFaceError: of the run that failed.
    """
    runs = RunSet.of(recipes, out)
    earlier = check_seeds(recipes, registries, out=out, resume=resume)
    finished = _finished_others(recipes, runs, registries, console)
    for number, (recipe, done) in enumerate(zip(recipes, earlier, strict=True), start=1):
        which = f"seed {recipe.run.seed} ({number} of {len(recipes)})"
        console.say(f"{which}:" if done is None else f"{which}: finished already in {done.folder}")
        if done is None:
            folder = runs.folder(recipe.run.seed)
            goes_on = _goes_on(recipe, folder, registries, resume=resume)
            try:
                done = run(recipe, registries, console, out=folder, resume=goes_on, observers=observers)
            except Interrupted as error:
                kept = [find_begun(recipe, folder, registries), *(one.folder for _, one in finished)]
                raise seeds_interrupted(error, which, kept, recipes, out) from error
        finished.append((recipe, done))
    return _sum_up(runs, finished)


def check_seeds(
    recipes: Sequence[Recipe], registries: Registries, *, out: Path | None, resume: bool
) -> list[Finished | None]:
    """Return which of the runs are finished already; nothing is made or written.

    Args:
        recipes: checked recipes that differ in their seed alone.
        registries: kind -> registry.
        out: the folder of the runs, None for runs/<name>/; see `run_seeds`.
        resume: go on with unfinished runs.

    Raises:
        UsageError: a run could not begin, or `out` is not a folder of seeds or holds runs of another recipe.
    """
    runs = RunSet.of(recipes, out)
    runs.check()
    earlier = [finished_run(recipe, runs.folder(recipe.run.seed), registries) for recipe in recipes]
    for recipe, done in zip(recipes, earlier, strict=True):
        if done is None:
            folder = runs.folder(recipe.run.seed)
            choose_folder(recipe, folder, registries, resume=_goes_on(recipe, folder, registries, resume=resume))
    for recipe, folder in runs.others(recipes):
        if not holds_run_of(recipe, folder, registries):
            raise UsageError(
                f"{folder}: holds the run of another recipe or other --set values, which cannot be summed up with "
                "these. Name another --out."
            )
    return earlier


def _goes_on(recipe: Recipe, folder: Path | None, registries: Registries, *, resume: bool) -> bool:
    """Whether a run of a set goes on; with --resume too those that are not there yet begin."""
    return resume and find_begun(recipe, folder, registries) is not None


def _finished_others(
    recipes: Sequence[Recipe], runs: RunSet, registries: Registries, console: Console
) -> list[tuple[Recipe, Finished]]:
    """Return the finished runs of a set that are not asked for; say which count and which do not."""
    others = []
    for recipe, folder in runs.others(recipes):
        done = finished_run(recipe, folder, registries)
        if done is not None:
            others.append((recipe, done))
        counts = "counts too" if done is not None else "is not finished, so it does not count"
        console.say(f"seed {recipe.run.seed}: {folder} {counts}")
    return others


def _sum_up(runs: RunSet, finished: Sequence[tuple[Recipe, Finished]]) -> dict[str, Any]:
    """Write the summary of a set; return it with its folder."""
    results = over_runs([done.results for _, done in finished])
    document = _document([recipe for recipe, _ in finished], [done for _, done in finished], results)
    runs.path.mkdir(parents=True, exist_ok=True)
    write_json(runs.summary_path, document)
    write_text(runs.summary_page, report_markdown(results, document))
    return {"folder": str(runs.path), **document}


def _document(recipes: Sequence[Recipe], runs: Sequence[Finished], results: Mapping[str, Result]) -> dict[str, Any]:
    """Return seeds.json; what all runs share is said once, as the first run's report says it."""
    first = runs[0].report
    notices = list(dict.fromkeys(notice for done in runs for notice in done.report.get("notices", ())))
    notices += [
        f"the runs differ in their {key}: see the report of each"
        for key in ("data", "versions", "device")
        if any(done.report.get(key) != first.get(key) for done in runs)
    ]
    return {
        "metricface": __version__,
        "name": recipes[0].run.name,
        "seeds": [recipe.run.seed for recipe in recipes],
        "runs": [
            {"seed": recipe.run.seed, "folder": str(done.folder), "recipe_digest": recipe.digest}
            for recipe, done in zip(recipes, runs, strict=True)
        ],
        "data": first.get("data"),
        "notices": notices,
        "results": {name: result.to_json() for name, result in results.items()},
        "versions": first.get("versions"),
        "device": first.get("device"),
    }
