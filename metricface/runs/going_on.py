"""What an interrupted run says: where its checkpoint is, and the line that goes on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from metricface.errors import Interrupted, MetricFaceError
from metricface.recipe.schema import Recipe
from metricface.runs.folder import RunFolder


@contextmanager
def telling_how_to_go_on(folder: RunFolder) -> Iterator[None]:
    """Give the interruption of an open run a message with its checkpoint and the command that goes on.

    An exception that is nobody's message yet, such as one out of a plugin, gets the command as a note.

    Raises:
        Interrupted: with that message.
    """
    try:
        yield
    except Interrupted as error:
        raise Interrupted(error.signal_number, _told(folder)) from error
    except MetricFaceError:
        raise
    except Exception as error:
        if folder.last_checkpoint.exists():
            error.add_note(f"Then go on: {folder.resume_line}")
        raise


def seeds_interrupted(
    error: Interrupted, which: str, kept: Sequence[Path | None], recipes: Sequence[Recipe], out: Path | None
) -> Interrupted:
    """Return the interruption of one of several runs, with the command that goes on with all of them.

    Args:
        error: of the run.
        which: the run, in words.
        kept: its folder, None where nothing of it is kept; then those of the finished runs of the set.
        recipes: of the set, one for each seed.
        out: of the set.
    """
    run = next((RunFolder(folder) for folder in kept if folder is not None), None)
    if run is None:
        return error
    seeds = ",".join(str(recipe.run.seed) for recipe in recipes)
    parts = ["metricface", "run", str(run.recipe_path), "--seeds", seeds]
    parts += [] if out is None else ["--out", str(out)]
    said = f"interrupted in {which}"
    if not run.is_finished() and run.last_checkpoint.exists():
        said += f", whose checkpoint is {run.last_checkpoint}"
    return Interrupted(error.signal_number, f"{said}. Go on: {shlex.join([*parts, '--resume'])}")


def _told(folder: RunFolder) -> str:
    if folder.last_checkpoint.exists():
        return f"interrupted; the checkpoint is {folder.last_checkpoint}. Go on: {folder.resume_line}"
    if folder.has_begun():
        return f"interrupted before the first checkpoint. Begin it again: {folder.resume_line}"
    return "interrupted before training began; nothing is kept"
