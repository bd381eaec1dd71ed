"""Photos that a CSV file lists, with who or what they show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from metricface.components.datasets._classes import check_classes, labels_notice
from metricface.contracts import CLEAN, Item
from metricface.data.folders import check_root, shortened
from metricface.data.headers import MOST_PIXELS
from metricface.data.images import read_image
from metricface.data.manifest import COLUMNS, Entry, Manifest, Mistakes, read_manifest
from metricface.errors import DataError, counted, nearest

if TYPE_CHECKING:
    from metricface.contracts import Image


class CsvManifest:
    """One split of a manifest: a CSV file in UTF-8 with a header and one row per photo.

    Columns, in any order: `path` (relative to `root`), `split`, and `identity` (the person) or `label` (the class).
    As you like: `condition` (clean when empty, any name otherwise), `source` (the `path` of the clean photo that a
    distorted one shows, empty when unknown), `role` (gallery, probe or empty) and `group` (any name, for figures by
    group). Where `label` and `identity` are both there, the label is learnt and the identity is the person, who may
    then be unknown. Items come in the order of the rows.

    Args:
        root: the folder of the photos.
        split: the rows with this text under `split`.
        manifest: the CSV file, relative to the working directory.
        classes: the labels in label order, for a file with `label`; every split holds all of them. The last of two is
            the positive one, label 1; a notice says so.
        max_pixels: of a photo; one whose header says more cannot be read.

    Raises:
        DataError: the file or a photo is missing, a row is wrong (file, line and the first of each kind of mistake),
            or the split has no row, or none of a class.
        RecipeError: the file has labels and `classes` is missing, or it is unusable.
    """

    def __init__(
        self,
        *,
        root: Path,
        split: str,
        manifest: Path,
        classes: tuple[str, ...] = (),
        max_pixels: int = MOST_PIXELS,
    ) -> None:
        self._max_pixels = max_pixels
        check_root(root)
        if classes:
            check_classes(classes)
        found = read_manifest(manifest, classes)
        entries = _of_split(manifest, found, split)
        _check_photos(root, manifest, entries)
        names = classes or tuple(sorted({entry.identity for entry in entries}))
        labels = {name: label for label, name in enumerate(names)}
        self.label_names = names
        self.items: Sequence[Item] = [
            Item(
                root / entry.path,
                labels[entry.label if classes else entry.identity],
                entry.condition,
                source=entry.source,
                identity=entry.identity,
                attributes=entry.attributes,
            )
            for entry in entries
        ]
        self._check_labels(manifest, split)
        self._manifest, self._rows = manifest, Counter(entry.split for entry in found.entries)
        self.notices: Sequence[str] = _notices(manifest, found, split, entries, classes)

    def __len__(self) -> int:
        return len(self.items)

    def read(self, index: int) -> Image:
        """Return photo `index` as uint8 (H, W, 3) RGB; see `images.read_image` for errors."""
        return read_image(self.items[index].path, self._max_pixels)

    def other_splits(self, read: Collection[str]) -> str:
        """Return a notice of the rows that stand in splits besides those that are read, "" for none."""
        others = [split for split in self._rows if split not in read]
        listed = shortened([f"{split} ({self._rows[split]})" for split in others])
        near = nearest(others[0], read) if others else ""
        return f"{self._manifest}: rows of splits that are not read: {listed}.{near}" if others else ""

    def _check_labels(self, manifest: Path, split: str) -> None:
        """Refuse a class without a photo."""
        seen = {item.label for item in self.items}
        missing = [repr(name) for label, name in enumerate(self.label_names) if label not in seen]
        if missing:
            raise DataError(
                f"{manifest}: no photo of {', '.join(missing)} in split {split!r}. "
                "Every split needs photos of every class of data.classes."
            )


def _of_split(manifest: Path, found: Manifest, split: str) -> list[Entry]:
    """Return the rows of a split; there is at least one."""
    entries = [entry for entry in found.entries if entry.split == split]
    if not entries:
        splits = list(dict.fromkeys(entry.split for entry in found.entries))
        way_out = f"{nearest(split, splits)} A recipe needs train and val."
        if not split:  # how `metricface eval --data FOLDER` asks for a folder that is itself a split
            way_out = " No folder is a split here: leave --data out to evaluate val."
        raise DataError(f"{manifest}: no row of split {split!r} (splits there: {shortened(splits)}).{way_out}")
    return entries


def _check_photos(root: Path, manifest: Path, entries: Sequence[Entry]) -> None:
    """Refuse rows whose photo is not there."""
    mistakes = Mistakes(manifest)
    for entry in entries:
        if not (root / entry.path).is_file():
            mistakes.add("missing", entry.line, f"no such photo (looked for {root / entry.path}). Is data.root right?")
    mistakes.refuse()


def _notices(
    manifest: Path, found: Manifest, split: str, entries: Sequence[Entry], classes: Sequence[str]
) -> tuple[str, ...]:
    """Return what to tell of the classes, of columns that are not read, and of unknown sources."""
    notices = [labels_notice(classes)] if classes else []
    others = [name for name in found.columns if name not in COLUMNS]
    if others:
        notices.append(f"{manifest}: columns that are not read: {', '.join(others)}.{nearest(others[0], COLUMNS)}")
    unknown = sum(entry.condition != CLEAN and not entry.source for entry in entries)
    if unknown:
        said = counted(
            unknown,
            f"distorted photo of {split} has no source: its clean photo is unknown",
            f"distorted photos of {split} have no source: their clean photo is unknown",
        )
        notices.append(f"{manifest}: {said}")
    return tuple(notices)
