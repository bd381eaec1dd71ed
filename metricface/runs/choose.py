"""The folder to run in, and earlier runs of an equal recipe."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metricface.components.registry import Registries
from metricface.errors import MetricFaceError, UsageError
from metricface.recipe.load import load_recipe
from metricface.recipe.schema import Recipe, tables_digest, without_trackers
from metricface.runs.folder import RunFolder
from metricface.runs.nearest import difference, nothing_to_go_on_with


def choose_folder(recipe: Recipe, out: Path | None, registries: Registries, *, resume: bool) -> RunFolder:
    """Return the folder to run in; nothing is made or written yet.

    Args:
        recipe: with `resume`, only a run of an equal recipe is gone on with; there must be one.
        out: the run folder itself; None makes one up under runs/<name>/, or with `resume` takes the newest unfinished.
        registries: kind -> registry, to read the recipes of earlier runs with.
        resume: go on with a run that is there.

    Raises:
        UsageError: `out` is in use already, or holds another recipe's run or a damaged one; or with `resume`, there is
            nothing to go on with (it names the nearest runs).
    """
    if resume:
        going_on = find_begun(recipe, out, registries)
        if going_on is None:
            raise nothing_to_go_on_with(recipe, out, registries)
        return RunFolder(going_on, resumed=True)
    if out is None:
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{recipe.digest[:4]}"
        return RunFolder(Path("runs") / recipe.run.name / name, made_up=True)
    if _is_taken(out):
        raise UsageError(f"{out}: there is something there already. Name another --out, or go on with --resume.")
    return RunFolder(out)


def find_begun(recipe: Recipe, out: Path | None, registries: Registries) -> Path | None:
    """Return what `--resume` goes on with: `out` if a run is there, else the newest unfinished one under runs/<name>/.

    Raises:
        UsageError: `out` holds another recipe's run or a damaged one, or something else.
    """
    if out is None:
        runs = _runs(Path("runs") / recipe.run.name, recipe, registries)
        return next((folder for folder in reversed(runs) if not RunFolder(folder).is_finished()), None)
    if not _is_taken(out):
        return None
    if not holds_run_of(recipe, out, registries):
        differs = difference(recipe, RunFolder(out), registries)
        raise UsageError(
            f"{out}: holds the run of another recipe or other --set values{differs and f': {differs}'}. "
            f"Go on with its own: {RunFolder(out).resume_line}"
        )
    return out


def find_finished(recipe: Recipe, out: Path | None, registries: Registries) -> Path | None:
    """Return the newest finished run of an equal recipe: `out` itself, or under runs/<name>/ where that is None.

    Raises:
        UsageError: `out` holds a damaged run.
    """
    if out is None:
        folders = _runs(Path("runs") / recipe.run.name, recipe, registries)
    else:
        folders = [out] if RunFolder(out).record_path.exists() and holds_run_of(recipe, out, registries) else []
    finished = [folder for folder in folders if RunFolder(folder).is_finished()]
    return finished[-1] if finished else None


def holds_run_of(recipe: Recipe, folder: Path, registries: Registries) -> bool:
    """Whether a folder's run is of an equal recipe, once keys that are newer than the run have their defaults.

    Raises:
        UsageError: the folder holds no run, or its record or recipe cannot be read any more.
    """
    run = RunFolder(folder)
    digest = run.recorded_digest()
    if digest == recipe.digest:
        return True
    tables = run.recipe()
    if not run.record_path.exists() and not run.recipe_path.exists():
        return False  # only the checkpoint tells, and it is of another
    if tables_digest(tables) != digest:
        name = run.recipe_path.name
        problem = tables.problem or f"{name} is not what this run began with ({run.record_path.name} has its digest)"
        raise UsageError(f"{folder}: {problem}. Put that back, or name another --out.")
    try:
        return load_recipe(run.recipe_path, registries=registries).digest == recipe.digest
    except MetricFaceError as error:
        first = str(error).splitlines()[0]
        raise UsageError(
            f"{folder}: this MetricFace cannot load the recipe of that run ({first}). Install what it was run with, or "
            "name another --out."
        ) from error


def _runs(base: Path, recipe: Recipe, registries: Registries) -> list[Path]:
    """Return the folders of earlier runs of an equal recipe, oldest first (their names begin with the time)."""
    if not base.is_dir():
        return []
    return sorted(folder for folder in base.iterdir() if _is_run_of(recipe, folder, registries))


def _is_run_of(recipe: Recipe, folder: Path, registries: Registries) -> bool:
    """As `holds_run_of`, but False where that cannot tell; recipes that differ in more than new keys are not loaded."""
    run = RunFolder(folder)
    if run.record().get("recipe_digest") != recipe.digest:
        tables = run.recipe()
        if not tables or not _is_part(without_trackers(tables), recipe.document()):
            return False
    try:
        return holds_run_of(recipe, folder, registries)
    except UsageError:
        return False


def _is_part(old: Any, new: Any) -> bool:
    """Whether plain tables hold nothing but what others hold too."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(key in new and _is_part(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_is_part, old, new))
    return bool(old == new)


def _is_taken(out: Path) -> bool:
    """Whether something is at the path of a new run, other than an empty folder or the beginnings of a run."""
    try:
        if not out.is_dir():
            return out.exists()
        return any(out.iterdir()) and not RunFolder(out).is_left_over()
    except OSError as error:
        raise UsageError(f"{out}: cannot be looked into ({error.strerror}). Name another --out.") from error
