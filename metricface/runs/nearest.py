"""What to say where there is nothing to go on with: the runs that come nearest, and what differs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metricface.components.registry import Registries
from metricface.errors import MetricFaceError, UsageError
from metricface.recipe.difference import differing_keys
from metricface.recipe.load import load_recipe
from metricface.recipe.schema import Recipe, without_trackers
from metricface.runs.folder import RunFolder
from metricface.runs.paths import run_folders

_RUNS = 3
_KEYS = 4


def nothing_to_go_on_with(recipe: Recipe, out: Path | None, registries: Registries) -> UsageError:
    """Return the refusal of `--resume` where no unfinished run of the recipe is, with the nearest runs of its name.

    Args:
        recipe: what was to go on.
        out: the folder that was named, None where runs/<name>/ was looked into.
        registries: kind -> registry, to read the recipes of earlier runs with.
    """
    where = f"under {Path('runs') / recipe.run.name}" if out is None else f"in {out}"
    nearest = _nearest(recipe, Path("runs"), registries)
    return UsageError(
        f"--resume: no unfinished run of this recipe with these values {where}.{nearest} "
        "Leave out --resume to begin a new run."
    )


def difference(recipe: Recipe, folder: RunFolder, registries: Registries) -> str:
    """Return the keys in which a folder's recipe differs: "head.margin (there 0.2, here 0.1)"; "" without any."""
    keys = _differing(recipe, _tables(folder, registries))
    told = [f"{key} (there {_value(there)}, here {_value(here)})" for key, (there, here) in list(keys.items())[:_KEYS]]
    return ", ".join(told) + (f" and {len(keys) - _KEYS} more" if len(keys) > _KEYS else "")


def _nearest(recipe: Recipe, base: Path, registries: Registries) -> str:
    """Return a sentence with the runs of the name that differ in the fewest keys, the newest first among equals."""
    runs = [RunFolder(path) for path in sorted(run_folders(base), reverse=True)] if base.is_dir() else []
    named = [(run, tables) for run in runs if (tables := run.recipe()) and _name(tables) == recipe.run.name]
    found = sorted(named, key=lambda one: len(_differing(recipe, one[1])))[:_RUNS]
    told = {run: difference(recipe, run, registries) for run, _ in found}
    if not told:
        return ""
    same = next((run for run, differs in told.items() if not differs and not run.is_finished()), None)
    if same is not None:
        return f" One is elsewhere, {same.path} ({same.status(same.record())}). Go on with it: {same.resume_line}."
    listed = [
        f"{run.path} ({run.status(run.record())}) {f'differs in {differs}' if differs else 'has no other key'}"
        for run, differs in told.items()
    ]
    return f" The nearest of that name: {'; '.join(listed)}. Go on with one by its own recipe.toml."


def _name(tables: Mapping[str, Any]) -> object:
    run = tables.get("run")
    return run.get("name") if isinstance(run, Mapping) else None


def _tables(run: RunFolder, registries: Registries) -> Mapping[str, Any]:
    """Return a run's recipe with the defaults of today for keys that are newer than it, where it can be loaded."""
    try:
        return load_recipe(run.recipe_path, registries=registries).document()
    except MetricFaceError:
        return run.recipe()


def _differing(recipe: Recipe, tables: Mapping[str, Any]) -> dict[str, tuple[list[Any], list[Any]]]:
    return differing_keys([without_trackers(tables)], [without_trackers(recipe.document())])


def _value(values: list[Any]) -> str:
    return "none" if values == [None] else ", ".join(str(value) for value in values)
