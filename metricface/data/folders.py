"""Reading folders of photos, with a count of everything that is left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from metricface.data.images import is_image
from metricface.errors import DataError, counted

_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})
_OF_MACOS = (".DS_Store", "._")
_LISTED = 5

_NOT_READ_YET = (".avif", ".gif", ".heic", ".heif", ".jxl")  # photos all the same
_NO_PHOTO = "no photo: "  # before the kind of file, as a key of counts


def count_no_photo(counts: Counter[str], path: Path, *, there: bool = True) -> None:
    """Count a file that is no photo by its suffix, or a name with no file behind it."""
    counts[_NO_PHOTO + ((path.suffix.lower() or "without a suffix") if there else "with no file behind the name")] += 1


def count_loose(counts: Counter[str], path: Path) -> None:
    """Count a file that lies beside the folders of people or classes: a photo as "loose", others as no photos."""
    if is_image(path):
        counts["loose"] += 1
    else:
        count_no_photo(counts, path)


def no_photos(counts: Mapping[str, int]) -> str:
    """Return what of the counted files is no photo, by suffix, and the way out for photos that are not read; or ""."""
    kinds = {key.removeprefix(_NO_PHOTO): count for key, count in counts.items() if key.startswith(_NO_PHOTO)}
    if not kinds:
        return ""
    listed = shortened([f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda kind: (-kind[1], kind))])
    convert = ", ".join(suffix for suffix in _NOT_READ_YET if suffix in kinds)
    way_out = f". Convert {convert} to JPEG to have them read" if convert else ""
    return f"left out as no photos: {listed}{way_out}"


def check_root(root: Path) -> None:
    """Refuse a root that is no folder.

    Raises:
        DataError: names it and the way out.
    """
    if not root.is_dir():
        what = "not a folder" if root.exists() else "no such folder"
        raise DataError(f"{root}: {what}. Run `metricface data demo` for the demo faces, or set data.root.")


def split_folder(root: Path, split: str, layout: str) -> Path:
    """Return the folder of the split, `root` itself when `split` is "".

    Args:
        root: the folder that holds the splits.
        split: name of the split.
        layout: what the folders should look like, as a sentence for the message.

    Raises:
        DataError: the root or the split is missing; says which folders are there instead.
    """
    check_root(root)
    folder = root / split
    if not folder.is_dir():
        there = [entry.name for entry in visible(root) if is_folder(entry)]
        raise DataError(f"{root}: no split {split!r} (folders there: {shortened(there)}). {layout}")
    return folder


def why_empty(folder: Path, entries: Sequence[os.DirEntry[str]], per: str, layout: str) -> str:
    """Return why there is no photo in any folder of a split; `per` is "person" or "class"."""
    if any(is_image(Path(entry.name)) for entry in entries):
        return f"{folder}: photos lie in the split itself, not in one folder per {per}. {layout}"
    if any(map(is_folder, entries)):
        return f"{folder}: none of {counted(sum(map(is_folder, entries)), 'folder', 'folders')} holds a photo. {layout}"
    return f"{folder}: the split is empty. {layout}"


def photos(folder: Path, counts: Counter[str], known_folders: Collection[str] = ()) -> Iterator[Path]:
    """Yield a folder's photos by name; count other folders, less known ones, as "folder", and files that are none."""
    for entry in visible(folder):
        path = Path(entry.path)
        if is_folder(entry):
            counts["folder"] += entry.name not in known_folders
        elif is_image(path) and _is_file(entry):
            yield path
        else:
            count_no_photo(counts, path, there=_is_file(entry))


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or leads to one; a link to itself leads nowhere."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def visible(folder: Path, counts: Counter[str] | None = None) -> Iterator[os.DirEntry[str]]:
    """Yield a folder's entries by name, without hidden and system files; hidden ones are counted as "hidden".

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}). Check its permissions.") from error
    for entry in entries:
        if entry.name.startswith("."):
            if counts is not None and not entry.name.startswith(_OF_MACOS):
                counts["hidden"] += 1
        elif entry.name.lower() not in _SYSTEM_FILES:
            yield entry


def remarks(where: Path, texts: Mapping[str, tuple[str, str]], counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return a notice for everything counted: `texts` is key -> what to say of one and of several; also no_photos."""
    told = [counted(counts[key], *text) for key, text in texts.items() if counts[key]]
    return tuple(f"{where}: {text}" for text in (*told, no_photos(counts)) if text)


def shortened(names: Sequence[str]) -> str:
    """Return the first few names as a phrase, "none" for none."""
    more = len(names) - _LISTED
    return (", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")) or "none"
