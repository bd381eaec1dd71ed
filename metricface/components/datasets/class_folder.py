"""Photos in one folder per class: the Task A layout."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import MinLen

from metricface.components.datasets._classes import check_classes, check_folders, labels_notice
from metricface.contracts import Item
from metricface.data.folders import count_loose, is_folder, photos, remarks, split_folder, visible, why_empty
from metricface.data.headers import MOST_PIXELS
from metricface.data.images import read_image
from metricface.errors import DataError, RecipeError

if TYPE_CHECKING:
    from metricface.contracts import Image

_LAYOUT = "The layout is <root>/<split>/<class>/<photo>.jpg."
_REMARKS = {
    "loose": (
        "photo lies in the split itself, in no class, and is left out",
        "photos lie in the split itself, in no class, and are left out",
    ),
    "empty": (
        "folder that is no class holds no photo and is left out",
        "folders that are no class hold no photo and are left out",
    ),
    "folder": ("folder inside a class's folder is not read", "folders inside the classes' folders are not read"),
    "person": (
        "photo's name does not match data.person_pattern: who it shows is unknown",
        "photos' names do not match data.person_pattern: who they show is unknown",
    ),
}


class ClassFolder:
    """One split of a tree `root/split/class/photo.jpg`.

    The label is the place of the folder's name in `classes`. The last of two classes is the positive one, label 1; a
    notice says so. Folders inside a class's folder are not read.

    Args:
        root: the folder that holds the splits.
        split: "train", "val" or another folder of `root`; "" when `root` is itself a split.
        classes: the folders' names, exactly, in label order; every split holds all of them and no others.
        person_pattern: a regular expression whose first group, searched for in the file's name without its suffix, is
            the person: "^(s[0-9]+)_" for s8_3.pgm. People in two splits are then refused. None or "": nobody is known.
        max_pixels: of a photo; one whose header says more cannot be read.

    Raises:
        DataError: the folder or the split is missing, its folders are not the classes, a class has no photo, or no
            name of a photo matches the pattern.
        RecipeError: `classes` or `person_pattern` is unusable.
    """

    def __init__(
        self,
        *,
        root: Path,
        split: str,
        classes: Annotated[tuple[str, ...], MinLen(2)],
        person_pattern: str | None = None,
        max_pixels: int = MOST_PIXELS,
    ) -> None:
        self._max_pixels = max_pixels
        check_classes(classes)
        pattern = _compiled(person_pattern)
        folder = split_folder(root, split, _LAYOUT)
        counts: Counter[str] = Counter()
        found = _photos_of_folders(folder, counts)
        check_folders(folder, found, classes)
        items = [
            Item(path, label, source=f"{name}/{path.name}", identity=_person(pattern, path.stem, counts))
            for label, name in enumerate(classes)
            for path in found[name]
        ]
        if counts["person"] == len(items):
            raise DataError(
                f"data.person_pattern: matches none of the {len(items)} photos of {folder} (got {person_pattern!r}; "
                f"the first is {items[0].path.stem!r}). Its first group must be the person. "
                'Where names do not say who it is: person_pattern = "".'
            )
        counts["empty"] = sum(not paths for paths in found.values())
        self.label_names = classes
        self.items: Sequence[Item] = items
        self.notices: Sequence[str] = (labels_notice(classes), *remarks(folder, _REMARKS, counts))

    def __len__(self) -> int:
        return len(self.items)

    def read(self, index: int) -> Image:
        """Return photo `index` as uint8 (H, W, 3) RGB; see `images.read_image` for errors."""
        return read_image(self.items[index].path, self._max_pixels)


def _photos_of_folders(folder: Path, counts: Counter[str]) -> dict[str, list[Path]]:
    """Return the photos of every folder of a split by the folder's name; there is at least one photo."""
    entries: list[os.DirEntry[str]] = list(visible(folder))
    found = {entry.name: list(photos(Path(entry.path), counts)) for entry in entries if is_folder(entry)}
    if not any(found.values()):
        raise DataError(why_empty(folder, entries, "class", _LAYOUT))
    for entry in entries:
        if not is_folder(entry):
            count_loose(counts, Path(entry.name))
    return found


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    """Return the regular expression, or refuse it."""
    if not pattern:  # "" is how --set takes a recipe's pattern out
        return None
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise RecipeError(f"data.person_pattern: not a regular expression (got {pattern!r}: {error}).") from error
    if not compiled.groups:
        raise RecipeError(
            f'data.person_pattern: has no group (got {pattern!r}). Put brackets round the person: "^(s[0-9]+)_".'
        )
    return compiled


def _person(pattern: re.Pattern[str] | None, name: str, counts: Counter[str]) -> str:
    """Return who a photo of this name shows, "" when unknown."""
    if pattern is None:
        return ""
    match = pattern.search(name)
    person = (match[1] or "") if match else ""
    counts["person"] += not person
    return person
