"""One recipe with several seeds, and how much its figures move: `metricface run --seeds`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from metricface import __version__
from metricface.components.registry import Registries
from metricface.contracts import Console, Result
from metricface.errors import UsageError
from metricface.evaluation.over_runs import over_runs
from metricface.evaluation.report.markdown import report_markdown
from metricface.files import write_json, write_text
from metricface.recipe.schema import Recipe
from metricface.runs.choose import choose_folder, holds_run_of
from metricface.runs.run import Finished, finished_run, run
from metricface.training.state import Observer

_SEED = re.compile(r"seed-(0|[1-9]\d*)")


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

    A run that is finished already is not done again; whether the others can begin is checked before the first one.
    What is summed up are all finished runs in `out`, those of earlier calls first; without `out` those of this call.

    Args:
        recipes: checked recipes.
        registries: kind -> registry.
        console: told of notices and progress.
        out: gets seed-<seed>/ for each run, and the two files. None for runs/<name>/: each run in a folder of its own
            as ever, and the two files in seeds-<hash8>/, a folder for each set of recipes.
        resume: go on with unfinished runs.
        observers: see every step and evaluation of every run.

    Raises:
        Interrupted: no further run begins. UsageError: as `check_seeds`. MetricFaceError: of the run that failed.
    """
    earlier = check_seeds(recipes, registries, out=out, resume=resume)
    others = [] if out is None else _others(recipes, out, registries, console)
    runs: list[Finished] = []
    for number, (recipe, done) in enumerate(zip(recipes, earlier, strict=True), start=1):
        which = f"seed {recipe.run.seed} ({number} of {len(recipes)})"
        if done is None:
            console.say(f"{which}:")
            folder = _folder(recipe, out)
            done = run(recipe, registries, console, out=folder, resume=resume, observers=observers)
        else:
            console.say(f"{which}: finished already in {done.folder}")
        runs.append(done)
    summed = [*others, *zip(recipes, runs, strict=True)]
    results = over_runs([done.results for _, done in summed])
    document = _document([recipe for recipe, _ in summed], [done for _, done in summed], results)
    base = _base(recipes) if out is None else out
    base.mkdir(parents=True, exist_ok=True)
    write_json(base / "seeds.json", document)
    write_text(base / "seeds.md", report_markdown(results, document))
    return {"folder": str(base), **document}


def check_seeds(
    recipes: Sequence[Recipe], registries: Registries, *, out: Path | None, resume: bool
) -> list[Finished | None]:
    """Return which of the runs are finished already; nothing is made or written.

    Args:
        recipes, registries, out, resume: as `run_seeds` takes them.

    Raises:
        UsageError: a run could not begin, or `out` is not a folder of seeds or holds runs of another recipe.
    """
    if out is not None and ((out / "run.json").exists() or (out.exists() and not out.is_dir())):
        what = "the folder of a single run" if out.is_dir() else "a file"
        raise UsageError(f"{out}: {what}. Name another --out, which gets a folder for each seed.")
    earlier = [finished_run(recipe, _folder(recipe, out), registries) for recipe in recipes]
    for recipe, done in zip(recipes, earlier, strict=True):
        if done is None:
            choose_folder(recipe, _folder(recipe, out), registries, resume=resume)
    for recipe, folder in () if out is None else _neighbours(recipes, out):
        if not holds_run_of(recipe, folder, registries):
            raise UsageError(
                f"{folder}: holds the run of another recipe or other --set values, which cannot be summed up with "
                "these. Name another --out."
            )
    return earlier


def _base(recipes: Sequence[Recipe]) -> Path:
    """Return the folder of seeds.json under runs/<name>/: another set of recipes has another one."""
    digests = "".join(sorted(recipe.digest for recipe in recipes))
    return Path("runs") / recipes[0].run.name / f"seeds-{hashlib.sha256(digests.encode()).hexdigest()[:8]}"


def _folder(recipe: Recipe, out: Path | None) -> Path | None:
    """Return the folder of one run in `out`."""
    return None if out is None else out / f"seed-{recipe.run.seed}"


def _neighbours(recipes: Sequence[Recipe], out: Path) -> list[tuple[Recipe, Path]]:
    """Return the runs in `out` that are not asked for, by seed: the recipe that each should be of, and its folder."""
    asked = {recipe.run.seed for recipe in recipes}
    found = (_SEED.fullmatch(path.parent.name) for path in out.glob("seed-*/run.json"))
    seeds = sorted({int(match[1]) for match in found if match} - asked)
    return [
        (replace(recipes[0], run=recipes[0].run.model_copy(update={"seed": seed})), out / f"seed-{seed}")
        for seed in seeds
    ]


def _others(
    recipes: Sequence[Recipe], out: Path, registries: Registries, console: Console
) -> list[tuple[Recipe, Finished]]:
    """Return the finished runs in `out` that are not asked for; say which count and which do not."""
    others = []
    for recipe, folder in _neighbours(recipes, out):
        done = finished_run(recipe, folder, registries)
        if done is not None:
            others.append((recipe, done))
        counts = "counts too" if done is not None else "is not finished, so it does not count"
        console.say(f"seed {recipe.run.seed}: {folder} {counts}")
    return others


def _document(recipes: Sequence[Recipe], runs: Sequence[Finished], results: Mapping[str, Result]) -> dict[str, Any]:
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
        "results": {name: result.to_json() for name, result in results.items()},
        "versions": first.get("versions"),
        "device": first.get("device"),
    }
