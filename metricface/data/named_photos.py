"""Photos as a user names them: files, folders and patterns, each file once, with a word on what is left out."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from metricface.data.folders import count_no_photo, no_photos, shortened, visible
from metricface.data.images import is_image
from metricface.errors import DataError, counted, nearest

_WANTED = "Name JPEG, PNG or other photos, or folders of them."
_HIDDEN = "left out as hidden: {} (name one to have it taken)"
_AGAIN = "already taken, so not again (named twice, or a link): {}"


@dataclass(frozen=True, slots=True)
class NamedPhotos:
    """What was found: the photos in order, and remarks for the user on what was not taken."""

    photos: Sequence[Path]
    notices: Sequence[str]


def find_photos(named: Sequence[Path]) -> NamedPhotos:
    """Return the photos that are named, in the order of the names, those of a folder and below it by name.

    Hidden files and folders are left out with a notice unless they are named themselves, and so is what is no photo by
    its suffix. A file is taken once, however many names and links lead to it.

    Args:
        named: files, folders, and patterns such as `photos/**/*.jpg`.

    Raises:
        DataError: a name or pattern leads to nothing, a folder cannot be read, or there is no photo at all.
    """
    photos: list[Path] = []
    left_out: Counter[str] = Counter()
    again = 0
    seen: set[str] = set()
    for path in _files(expanded(named), left_out):
        if not os.path.isfile(path):  # noqa: PTH113 - False, not an error, where a folder forbids to look
            count_no_photo(left_out, path, there=False)
            continue
        real = os.path.realpath(path)
        if real in seen:
            again += 1
            continue
        seen.add(real)
        if is_image(path):
            photos.append(path)
        else:
            count_no_photo(left_out, path)
    hidden = counted(left_out["hidden"], "file or folder", "files and folders")
    notices = list(filter(None, (no_photos(left_out), _HIDDEN.format(hidden) if left_out["hidden"] else "")))
    if not photos:
        where = shortened([str(path) for path in named])
        why = f" ({'; '.join(notices)})" if notices else ""
        raise DataError(f"{where}: no photo there{why}. {_WANTED}")
    return NamedPhotos(photos, [*notices, *([_AGAIN.format(again)] if again else [])])


def expanded(named: Iterable[Path]) -> Iterator[Path]:
    """Yield files and folders as named; for a pattern all that it matches, sorted. `**` stands for any folders.

    Raises:
        DataError: a name or a pattern leads to nothing.
    """
    for path in named:
        if os.path.lexists(path):  # its name may have a bracket or a star in it
            yield path
        elif glob.has_magic(str(path)):
            matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - Path.glob takes hidden ones
            if not matches:
                raise DataError(f"{path}: no file or folder matches this pattern. {_WANTED}")
            yield from map(Path, matches)
        else:
            beside: list[str] = []
            with suppress(OSError):
                beside = [other.name for other in path.parent.iterdir()]
            raise DataError(f"{path}: no such file or folder.{nearest(path.name, beside)} {_WANTED}")


def _files(paths: Iterable[Path], left_out: Counter[str]) -> Iterator[Path]:
    """Yield files as they are and those in and below folders by name; a folder that was read is not read again.

    Hidden ones below are counted as "hidden".
    """
    seen: set[str] = set()  # links may lead back
    for named in paths:
        waiting = [named]
        while waiting:
            path = waiting.pop()
            if not os.path.isdir(path):  # noqa: PTH112 - likewise
                yield path
            elif (real := os.path.realpath(path)) not in seen:
                seen.add(real)
                waiting += [Path(entry.path) for entry in reversed(list(visible(path, left_out)))]
