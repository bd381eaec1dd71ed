"""A Task B tree from clean photos of people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from metricface.contracts import Distortion, Progress
from metricface.data.making.choice import Choice, Draw, choose, read_choice
from metricface.data.making.tree import Tree, write_tree
from metricface.errors import DataError, UsageError


def distort(
    source: Path,
    destination: Path,
    distortions: Mapping[str, Distortion],
    *,
    draw: Draw | None = None,
    split: Path | None = None,
    seed: int = 0,
    reading: Progress | None = None,
    progress: Progress | None = None,
) -> Tree:
    """Build destination/{train,val}/<person>/ of clean photos and one distorted version of each per distortion.

    Args:
        source: clean photos, source/<person>/<photo>.
        destination: a new folder, or one that an earlier call with the same arguments made or left unfinished.
        distortions: by name.
        draw: how many people and photos; None for what Draw says without arguments.
        split: a CSV file that says who and what goes where instead; see `choice.read_choice`.
        seed: of the draw of people and of every distortion, 0 or more.
        reading: called with (photos looked through, photos in all), before anything is written.
        progress: called with (photos done, photos in all).

    Raises:
        UsageError: the seed is below 0, or a draw of people stands beside `split`.
        DataError: see `choice.choose`, `choice.read_choice` and `tree.write_tree`; or one folder lies in the other.
    """
    clean, made = source.resolve(), destination.resolve()
    if clean.is_relative_to(made) or made.is_relative_to(clean):
        raise DataError(f"{destination}: SRC and DST lie in each other (SRC is {source}). Name a DST outside of SRC.")
    if seed < 0:
        raise UsageError(f"--seed: must be at least 0 (got {seed}).")
    choice = _choice(source, draw or Draw(), split, seed)
    tree = write_tree(destination, choice.photos, distortions, seed=seed, reading=reading, progress=progress)
    return replace(tree, notices=tuple(choice.notices))


def _choice(source: Path, draw: Draw, split: Path | None, seed: int) -> Choice:
    """Return the photos that the table of `split` names, or drawn ones without it."""
    if split is None:
        return choose(source, draw, seed=seed)
    if (draw.train_people, draw.val_people, draw.limit_per_person) != (None, None, None):
        raise UsageError(
            f"--split: {split} says who and what is used. Omit --train-people, --val-people and --limit-per-person."
        )
    return read_choice(source, split)
