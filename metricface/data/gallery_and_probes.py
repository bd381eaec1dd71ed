"""A gallery and probes of one's own as one dataset: photos told apart by their role."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from metricface.contracts import CLEAN, GALLERY, PROBE, ROLE, Dataset, Item
from metricface.data.person_names import composed
from metricface.errors import counted

if TYPE_CHECKING:
    from metricface.contracts import Image


class GalleryAndProbes:
    """Datasets as one, in which every photo has the role gallery or probe; people are matched by name, two
    spellings of an accent taken for one.

    A notice tells of photos that are in both, byte for byte.

    Args:
        gallery: a dataset.
        probes: one or several.
    """

    def __init__(self, gallery: Dataset, *probes: Dataset) -> None:
        self._parts = (gallery, *probes)
        self.label_names = tuple(sorted({composed(name) for part in self._parts for name in part.label_names}))
        probing = [item for part in probes for item in self._with_role(part, PROBE)]
        self.items: Sequence[Item] = [*self._with_role(gallery, GALLERY), *probing]
        enrolled = [item.path for item in gallery.items if item.condition == CLEAN]
        twice = _twice(enrolled, [item.path for item in probing])
        self.notices: Sequence[str] = (*(notice for part in self._parts for notice in part.notices), *_tell(twice))

    def __len__(self) -> int:
        return len(self.items)

    def read(self, index: int) -> Image:
        """Return photo `index` as uint8 (H, W, 3) RGB."""
        for part in self._parts[:-1]:
            if index < len(part):
                return part.read(index)
            index -= len(part)
        return self._parts[-1].read(index)

    def _with_role(self, dataset: Dataset, role: str) -> Iterator[Item]:
        labels = {name: label for label, name in enumerate(self.label_names)}
        for item in dataset.items:
            label = labels[composed(dataset.label_names[item.label])]
            yield replace(item, label=label, attributes={**item.attributes, ROLE: role})


def _twice(gallery: Sequence[Path], probes: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Return (photo of the gallery, probe) of equal bytes; only files of a size that both have are read."""
    sizes = [{path: _size(path) for path in paths} for paths in (gallery, probes)]
    both = set(sizes[0].values()) & set(sizes[1].values()) - {0}
    digests = {_digest(path): path for path, size in sizes[0].items() if size in both}
    return [
        (digests[digest], path)
        for path, size in sizes[1].items()
        if size in both and (digest := _digest(path)) in digests
    ]


def _size(path: Path) -> int:
    """Return the size of a file in bytes, 0 for one that cannot be read; reading the photo says why."""
    return path.stat().st_size if os.access(path, os.R_OK) else 0


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _tell(twice: Sequence[tuple[Path, Path]]) -> Iterator[str]:
    if twice:
        yield (
            f"{counted(len(twice), 'probe is a photo', 'probes are photos')} of the gallery too, byte for byte (for "
            f"instance {twice[0][1]} and {twice[0][0]}): recognising that shows little"
        )
