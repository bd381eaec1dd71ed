"""What is checked before a tree of photos is written, so that nothing is left half done."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from metricface.contracts import Progress
from metricface.data.images import read_image
from metricface.data.making.choice import Photo
from metricface.data.photos import MOST_UNREADABLE, too_many
from metricface.errors import DataError
from metricface.machine import usable_cores

_LISTED = 5
_LONGEST_NAME = 255


def check_before(folder: Path, photos: Sequence[Photo], progress: Progress | None) -> None:
    """Refuse a folder that cannot be written, and photos of which too many cannot be read.

    Raises:
        DataError: says which.
    """
    _check_writable(folder)
    _check_readable(photos, progress)


def check_names(photos: Sequence[Photo], conditions: Iterable[str]) -> None:
    """Refuse a photo whose distorted versions no file system could name."""
    longest = max((f"_{condition}.jpg" for condition in conditions), key=len, default="")
    for photo in photos:
        stem, ending = (Path(photo.name).stem, longest) if longest else (photo.name, "")
        length = len(os.fsencode(stem + ending))
        if length > _LONGEST_NAME:
            raise DataError(
                f"{photo.path}: its name is too long: with {ending} it has {length} bytes, and a file name has at most "
                f"{_LONGEST_NAME}. Give the photo a shorter name."
            )


def _check_writable(folder: Path) -> None:
    """Refuse, before photos are read, a folder that cannot be made or written."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        why = "is read-only" if there.is_dir() else "is no folder"
        raise DataError(f"{folder}: cannot be written ({there} {why}). Name another folder.")


def _check_readable(photos: Sequence[Photo], progress: Progress | None) -> None:
    """Refuse, before anything is written, photos of which too many cannot be read."""

    def reason(photo: Photo) -> str | None:
        try:
            read_image(photo.path)
        except DataError as error:
            return str(error)
        return None

    reasons: list[str] = []
    pool = ThreadPoolExecutor(usable_cores())
    try:
        for done, why in enumerate(pool.map(reason, photos), start=1):
            reasons += [] if why is None else [why]
            if progress is not None:
                progress(done, len(photos))
    finally:
        pool.shutdown(cancel_futures=True)
    if reasons and too_many(len(reasons), len(photos)):
        raise DataError(f"{said_of_too_many(reasons, len(photos))} Fix or remove them; nothing was written.")


def said_of_too_many(reasons: Sequence[str], total: int) -> str:
    """Return how many photos cannot be used, and why the first of them cannot."""
    return f"{len(reasons)} of {total} photos cannot be used, more than {MOST_UNREADABLE:.0%}: {listed(reasons)}."


def listed(reasons: Sequence[str]) -> str:
    """Join the first few of many lines."""
    more = len(reasons) - _LISTED
    return "; ".join(reasons[:_LISTED]) + (f"; and {more} more" if more > 0 else "")
