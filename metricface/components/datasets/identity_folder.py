"""Photos in one folder per person, with distorted versions beside them: the Task B layout."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from metricface.contracts import CLEAN, Item
from metricface.data.folders import count_loose, is_folder, photos, remarks, split_folder, visible, why_empty
from metricface.data.headers import MOST_PIXELS
from metricface.data.images import read_image
from metricface.errors import DataError

if TYPE_CHECKING:
    from metricface.contracts import Image

DISTORTED_FOLDERS = ("distorted", "distortion")
_LAYOUT = "The layout is <root>/<split>/<person>/<photo>.jpg and <person>/distortion/<photo>_<condition>.jpg."
REMARKS = {
    "loose": (
        "photo lies in the split itself, in no person's folder, and is left out",
        "photos lie in the split itself, in no person's folder, and are left out",
    ),
    "person": ("person's folder holds no photo and is left out", "people's folders hold no photo and are left out"),
    "folder": (
        "folder inside a person's folder is not read; only distortion/ and distorted/ are",
        "folders inside people's folders are not read; only distortion/ and distorted/ are",
    ),
    "twin": (
        "photo shares name and person with a photo of another suffix and is left out. Rename it if it is another photo",
        "photos share name and person with a photo of another suffix and are left out. "
        "Rename them if they are other photos",
    ),
    "name": (
        "distorted photo is not named <photo>_<condition> and is left out",
        "distorted photos are not named <photo>_<condition> and are left out",
    ),
    "source": (
        "distorted photo has no clean photo of its name: its source is unknown",
        "distorted photos have no clean photo of their name: their source is unknown",
    ),
}


class IdentityFolder:
    """One split of a tree `root/split/person/photo.jpg`, `root/split/person/distortion/photo_blurred.jpg`.

    The label is the person. A file in distortion/ or distorted/ shows the clean photo with the longest name that its
    own starts with, in the condition named after it and an underscore (in lower case). If no clean photo fits, the
    condition is what follows the last underscore and the source stays unknown, as severities do.

    Args:
        root: the folder that holds the splits.
        split: "train", "val" or another folder of `root`; "" when `root` is itself a split.
        max_pixels: of a photo; one whose header says more cannot be read.

    Raises:
        DataError: the folder or the split is missing, or no person in it has a photo.
    """

    def __init__(self, *, root: Path, split: str, max_pixels: int = MOST_PIXELS) -> None:
        self._max_pixels = max_pixels
        folder = split_folder(root, split, _LAYOUT)
        people: list[str] = []
        items: list[Item] = []
        counts: Counter[str] = Counter()
        entries = list(visible(folder))
        for entry in entries:
            if not is_folder(entry):
                count_loose(counts, Path(entry.name))
                continue
            found = list(_person(entry, len(people), counts))
            if found:
                people.append(entry.name)
                items.extend(found)
            else:
                counts["person"] += 1
        if not people:
            raise DataError(why_empty(folder, entries, "person", _LAYOUT))
        self.label_names = tuple(people)
        self.items: Sequence[Item] = items
        self.notices: Sequence[str] = remarks(folder, REMARKS, counts)

    def __len__(self) -> int:
        return len(self.items)

    def read(self, index: int) -> Image:
        """Return photo `index` as uint8 (H, W, 3) RGB; see `images.read_image` for errors."""
        return read_image(self.items[index].path, self._max_pixels)


def _person(person: os.DirEntry[str], label: int, counts: Counter[str]) -> Iterator[Item]:
    """Return one person's items; count what is left out."""
    clean = list(photos(Path(person.path), counts, DISTORTED_FOLDERS))
    distorted = [
        path
        for name in DISTORTED_FOLDERS
        if (folder := Path(person.path) / name).is_dir()
        for path in photos(folder, counts, DISTORTED_FOLDERS)
    ]
    return items_of(person.name, label, clean, distorted, counts)


def items_of(
    person: str, label: int, clean: Iterable[Path], distorted: Iterable[Path], counts: Counter[str]
) -> Iterator[Item]:
    """Yield the items of a person's photos in one folder, clean ones first; count what REMARKS tell of."""
    paths: dict[str, Path] = {}
    for path in clean:
        if paths.setdefault(path.stem, path) is not path:
            counts["twin"] += 1
    keys = {stem: f"{person}/{stem}" for stem in paths}
    for stem, path in paths.items():
        yield Item(path, label, source=keys[stem], identity=person)
    for path in distorted:
        stem, condition = _match(path.stem, keys)
        if condition in ("", CLEAN):
            counts["name"] += 1
            continue
        counts["source"] += stem not in keys
        yield Item(path, label, condition, source=keys.get(stem, ""), identity=person)


def _match(name: str, stems: Mapping[str, str]) -> tuple[str, str]:
    """Split a distorted photo's name into the longest clean stem that fits, else at the last underscore."""
    cuts = [place for place, letter in enumerate(name) if letter == "_"]
    fitting = [place for place in cuts if name[:place] in stems and name[place + 1 :]]
    cut = (fitting or cuts or [len(name)])[-1]
    return name[:cut], name[cut + 1 :].lower()
