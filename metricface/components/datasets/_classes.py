"""The classes of a classification dataset, in label order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from metricface.data.folders import shortened
from metricface.errors import DataError, RecipeError, nearest


def check_classes(classes: Sequence[str]) -> None:
    """Refuse classes that are fewer than two, nameless or named twice.

    Raises:
        RecipeError: what is wrong with `data.classes`.
    """
    example = 'Name each once, in label order, for instance ["female", "male"].'
    if len(classes) < 2:
        raise RecipeError(f"data.classes: must be two or more (got {len(classes)}). {example}")
    wrong = [name for name in classes if not name or classes.count(name) > 1]
    if wrong:
        what = f"{wrong[0]!r} is there twice" if wrong[0] else "one has no name"
        raise RecipeError(f"data.classes: {what}. {example}")


def check_folders(folder: Path, found: Mapping[str, Sequence[Path]], classes: Sequence[str]) -> None:
    """Refuse a split whose folders with photos are not exactly the classes.

    Args:
        folder: of the split.
        found: name of each folder in it -> its photos.
        classes: in label order.

    Raises:
        DataError: names the folders and the classes.
    """
    missing = [name for name in classes if name not in found]
    strangers = [name for name, paths in found.items() if paths and name not in classes]
    empty = [name for name in classes if not found.get(name)]
    if missing:
        raise DataError(
            f"{folder}: no folder for {_quoted(missing)} of data.classes (folders there: {shortened(list(found))})."
            f"{nearest(missing[0], strangers)} Every split needs photos of every class."
        )
    if strangers:
        raise DataError(
            f"{folder}: {_quoted(strangers)} {'are' if strangers[1:] else 'is'} not in data.classes "
            f"(got {_quoted(classes)}). Add to data.classes what all splits hold, and move the rest out of {folder}."
        )
    if empty:
        raise DataError(f"{folder}: no photo of {_quoted(empty)}. Every split needs photos of every class.")


def labels_notice(classes: Sequence[str]) -> str:
    """Return which class has which label; the last of two classes is the positive one."""
    numbered = ", ".join(f"{name} = {label}" for label, name in enumerate(classes))
    return f"classes: {numbered}{' (positive)' if len(classes) == 2 else ''}"


def _quoted(names: Sequence[str]) -> str:
    return shortened([repr(name) for name in names])
