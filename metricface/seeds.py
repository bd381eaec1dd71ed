"""One recipe with several seeds, and how much its figures move: `metricface run --seeds`."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metricface import __version__, build
from metricface.errors import UsageError
from metricface.files import write_json, write_text
from metricface.recipe.schema import Recipe
from metricface.registry import Registries
from metricface.reporting.markdown import report_markdown
from metricface.run import Finished, run
from metricface.run_folder import FINISHED, choose_folder, find_finished
from metricface.runs import read_run
from metricface.training.state import Observer


def run_seeds(
    recipes: Sequence[Recipe],
    registries: Registries,
    console: build.Console,
    *,
    out: Path | None = None,
    resume: bool = False,
    observers: Sequence[Observer] = (),
) -> dict[str, Any]:
    """Run recipes that differ in their seed alone; write and return seeds.json, and seeds.md beside it.

    A run that is finished already is not done again; whether the others can begin is checked before the first one.

    Args:
        recipes: checked recipes.
        registries: kind -> registry.
        console: told of notices and progress.
        out: gets seed-<seed>/ for each run; None for runs/<name>/, each run in a folder of its own as ever.
        resume: go on with unfinished runs.
        observers: see every step and evaluation of every run.

    Raises:
        Interrupted: no further run begins. UsageError: a folder is in use. MetricFaceError: of the run that failed.
    """
    base = _base(recipes[0], out)
    folders = [None if out is None else out / f"seed-{recipe.run.seed}" for recipe in recipes]
    earlier = [_finished(recipe, folder) for recipe, folder in zip(recipes, folders, strict=True)]
    for recipe, folder, done in zip(recipes, folders, earlier, strict=True):
        if done is None:
            choose_folder(recipe, folder, resume=resume)
    runs: list[Finished] = []
    for number, (recipe, folder, done) in enumerate(zip(recipes, folders, earlier, strict=True), start=1):
        which = f"seed {recipe.run.seed} ({number} of {len(recipes)})"
        if done is None:
            console.say(f"{which}:")
            done = run(recipe, registries, console, out=folder, resume=resume, observers=observers)
        else:
            console.say(f"{which}: finished already in {done.folder}")
        runs.append(done)
    document = _document(recipes, runs)
    write_json(base / "seeds.json", document)
    write_text(base / "seeds.md", report_markdown(document))
    return {"folder": str(base), **document}


def spread(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the results of several runs as one: every figure becomes its spread, in the same nesting.

    A figure becomes {"mean", "sd" (n - 1; None from a single run), "runs" (that gave it), "values" (None where a run
    gave none)}. A count stays where all runs agree and is None otherwise; intervals, operating points and
    confusion matrices are left out: they are in the report of each run.

    Args:
        results: documents of Result.to_json, or parts of them.
    """
    found: dict[str, Any] = {}
    for key in dict.fromkeys(key for result in results for key in result if key != "confusion"):
        values = [result.get(key) for result in results]
        given = [value for value in values if value is not None]
        if all(isinstance(value, Mapping) for value in given):
            found[key] = spread([value or {} for value in values])
        elif all(isinstance(value, float) for value in given):
            deviation = statistics.stdev(given) if len(given) > 1 else None
            found[key] = {"mean": statistics.fmean(given), "sd": deviation, "runs": len(given), "values": values}
        elif all(isinstance(value, int) for value in given):
            found[key] = given[0] if len(set(given)) == 1 else None
    return found


def _base(recipe: Recipe, out: Path | None) -> Path:
    """Return the folder of seeds.json."""
    if out is None:
        return Path("runs") / recipe.run.name
    if (out / "run.json").exists() or (out.exists() and not out.is_dir()):
        what = "the folder of a single run" if out.is_dir() else "a file"
        raise UsageError(f"{out}: {what}. Name another --out, which gets a folder for each seed.")
    return out


def _finished(recipe: Recipe, out: Path | None) -> Finished | None:
    """Return an earlier run of an equal recipe that is finished and whole."""
    folder = find_finished(recipe, out)
    if folder is None:
        return None
    found = read_run(folder)
    return Finished(folder, dict(found.report)) if found.status == FINISHED else None


def _document(recipes: Sequence[Recipe], runs: Sequence[Finished]) -> dict[str, Any]:
    """Return seeds.json; what all runs share is said once, as the first run's report says it."""
    first = runs[0].report
    notices = list(dict.fromkeys(notice for done in runs for notice in done.report.get("notices", ())))
    for key in ("data", "versions", "device"):
        if any(done.report.get(key) != first.get(key) for done in runs):
            notices.append(f"the runs differ in their {key}: see the report of each")
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
        "results": spread([done.report["results"] for done in runs]),
        "versions": first.get("versions"),
        "device": first.get("device"),
    }
