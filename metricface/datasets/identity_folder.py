"""Photos in one folder per person, with distorted versions beside them: the Task B layout."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from metricface.contracts import CLEAN, Item
from metricface.errors import DataError
from metricface.images import is_image, read_image

if TYPE_CHECKING:
    from metricface.contracts import Image

DISTORTED_FOLDERS = ("distorted", "distortion")
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})
_LAYOUT = "The layout is <root>/<split>/<person>/<photo>.jpg and <person>/distortion/<photo>_<condition>.jpg."
_REMARKS = {
    "person": "{} people's folders hold no photo and are left out",
    "file": "{} files are no photos (by their suffix, or links that lead nowhere) and are left out",
    "folder": "{} folders inside people's folders are not read; only distortion/ and distorted/ are",
    "twin": "{} photos share name and person with a photo of another suffix and are left out. "
    "Rename them if they are other photos",
    "name": "{} distorted photos are not named <photo>_<condition> and are left out",
    "source": "{} distorted photos have no clean photo of their name: their source is unknown",
}


class IdentityFolder:
    """One split of a tree `root/split/person/photo.jpg`, `root/split/person/distortion/photo_blurred.jpg`.

    The label is the person. A file in distortion/ or distorted/ shows the clean photo with the longest name that its
    own starts with, in the condition named after it and an underscore (in lower case). If no clean photo fits, the
    condition is what follows the last underscore and the source stays unknown, as severities do.

    Args:
        root: the folder that holds the splits.
        split: "train", "val" or another folder of `root`; "" when `root` is itself a split.

    Raises:
        DataError: the folder or the split is missing, or no person in it has a photo.
    """

    def __init__(self, *, root: Path, split: str) -> None:
        folder = _split_folder(root, split)
        people: list[str] = []
        items: list[Item] = []
        counts: Counter[str] = Counter()
        entries = list(_visible(folder))
        for entry in entries:
            if not entry.is_dir():
                continue
            found = list(_person(entry, len(people), counts))
            if found:
                people.append(entry.name)
                items.extend(found)
            else:
                counts["person"] += 1
        if not people:
            raise DataError(_nobody(folder, entries))
        self.label_names = tuple(people)
        self.items: Sequence[Item] = items
        self.notices = tuple(f"{folder}: {text.format(counts[key])}" for key, text in _REMARKS.items() if counts[key])

    def __len__(self) -> int:
        return len(self.items)

    def read(self, index: int) -> Image:
        """Return photo `index` as uint8 (H, W, 3) RGB; see `images.read_image` for errors."""
        return read_image(self.items[index].path)


def _split_folder(root: Path, split: str) -> Path:
    """Return the folder of the split, or refuse with what is there instead."""
    if not root.is_dir():
        what = "not a folder" if root.exists() else "no such folder"
        raise DataError(f"{root}: {what}. Run `metricface data demo` for the demo faces, or set data.root.")
    folder = root / split
    if not folder.is_dir():
        there = [entry.name for entry in _visible(root) if entry.is_dir()]
        listed = ", ".join(there[:5]) + (f" and {len(there) - 5} more" if len(there) > 5 else "")
        raise DataError(f"{root}: no split {split!r} (folders there: {listed or 'none'}). {_LAYOUT}")
    return folder


def _nobody(folder: Path, entries: Sequence[os.DirEntry[str]]) -> str:
    """Say why there is no person in the split."""
    if any(is_image(Path(entry.name)) for entry in entries):
        return f"{folder}: photos lie in the split itself, not in one folder per person. {_LAYOUT}"
    if any(entry.is_dir() for entry in entries):
        return f"{folder}: none of the {sum(entry.is_dir() for entry in entries)} folders holds a photo. {_LAYOUT}"
    return f"{folder}: the split is empty. {_LAYOUT}"


def _person(person: os.DirEntry[str], label: int, counts: Counter[str]) -> Iterator[Item]:
    """Yield one person's items, clean ones first; count what is left out."""
    clean: dict[str, Path] = {}
    for path in _photos(Path(person.path), counts):
        if clean.setdefault(path.stem, path) is not path:
            counts["twin"] += 1
    keys = {stem: f"{person.name}/{stem}" for stem in clean}
    for stem, path in clean.items():
        yield Item(path, label, source=keys[stem], identity=person.name)
    for name in DISTORTED_FOLDERS:
        if not (Path(person.path) / name).is_dir():
            continue
        for path in _photos(Path(person.path) / name, counts):
            stem, condition = _match(path.stem, keys)
            if condition in ("", CLEAN):
                counts["name"] += 1
                continue
            counts["source"] += stem not in keys
            yield Item(path, label, condition, source=keys.get(stem, ""), identity=person.name)


def _match(name: str, stems: Mapping[str, str]) -> tuple[str, str]:
    """Split a distorted photo's name into the longest clean stem that fits, else at the last underscore."""
    cuts = [place for place, letter in enumerate(name) if letter == "_"]
    fitting = [place for place in cuts if name[:place] in stems and name[place + 1 :]]
    cut = (fitting or cuts or [len(name)])[-1]
    return name[:cut], name[cut + 1 :].lower()


def _photos(folder: Path, counts: Counter[str]) -> Iterator[Path]:
    """Yield a folder's photos in order; count the other files and folders."""
    for entry in _visible(folder):
        path = Path(entry.path)
        if entry.is_dir():
            counts["folder"] += entry.name not in DISTORTED_FOLDERS
        elif is_image(path) and entry.is_file():
            yield path
        else:
            counts["file"] += 1


def _visible(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield a folder's entries by name, without hidden and system files."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}). Check its permissions.") from error
    for entry in entries:
        if not entry.name.startswith(".") and entry.name.lower() not in _SYSTEM_FILES:
            yield entry
