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

_RUNS = 3
_KEYS = 4


def nothing_to_go_on_with(recipe: Recipe, out: Path | None, registries: Registries) -> UsageError:
    """Return the refusal of `--resume` where no unfinished run of the recipe is, with the nearest runs of its name.

    Args:
        recipe: what was to go on.
        out: the folder that was named, None where runs/<name>/ was looked into.
        registries: kind -> registry, to read the recipes of earlier runs with.
    """
    base = Path("runs") / recipe.run.name
    where = f"under {base}" if out is None else f"in {out}"
    nearest = _nearest(recipe, base, registries)
    return UsageError(
        f"--resume: no unfinished run of this recipe with these --set values {where}.{nearest} "
        "Leave out --resume to begin a new run."
    )


def difference(recipe: Recipe, folder: RunFolder, registries: Registries) -> str:
    """Return the keys in which a folder's recipe differs: "head.margin (there 0.2, here 0.1)"; "" without any."""
    keys = _differing(recipe, _tables(folder, registries))
    told = [f"{key} (there {_value(there)}, here {_value(here)})" for key, (there, here) in list(keys.items())[:_KEYS]]
    return ", ".join(told) + (f" and {len(keys) - _KEYS} more" if len(keys) > _KEYS else "")


def _nearest(recipe: Recipe, base: Path, registries: Registries) -> str:
    """Return a sentence with the runs that differ in the fewest keys, the newest first among equals."""
    folders = sorted(base.iterdir(), reverse=True) if base.is_dir() else []
    runs = [RunFolder(path) for path in folders if path.is_dir()]
    found = [(run, _differing(recipe, run.recipe())) for run in runs if run.is_run() and run.recipe()]
    found = sorted(found, key=lambda one: len(one[1]))[:_RUNS]
    lines = [
        f"{run.path} ({run.status(run.record())}) "
        + (f"differs in {told}" if (told := difference(recipe, run, registries)) else "has no other key")
        for run, _ in found
    ]
    return f" The nearest of that name: {'; '.join(lines)}. Go on with one by its own recipe.toml." if lines else ""


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
