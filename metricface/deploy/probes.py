"""Probes as a user names them: people's folders, one person's folder, single photos, patterns; and whose they are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from metricface.components.datasets.identity_folder import DISTORTED_FOLDERS, REMARKS, items_of
from metricface.data.folders import is_folder, remarks, shortened, visible
from metricface.data.images import read_image
from metricface.data.named_photos import expanded, find_photos
from metricface.data.person_names import composed
from metricface.errors import DataError, nearest

if TYPE_CHECKING:
    from metricface.contracts import Dataset, Image, Item

_RULE = (
    "A photo is of the person whose folder it lies in (anna/1.jpg), or whose name its own begins with (anna_1.jpg): "
    "name folders or photos as the gallery does."
)


def find_probes(named: Sequence[Path], gallery: Collection[str], people: Callable[[Path], Dataset]) -> list[Dataset]:
    """Return the photos that are named, as one dataset per folder of people's folders and one of all others.

    A folder with other folders in it than distortion/ is one of people's folders, see `IdentityFolder`. All else are
    photos by themselves, see `LoosePhotos`: those of other folders, of patterns, single ones.

    Args:
        named: files, folders, patterns.
        gallery: the names of its people.
        people: reads a folder of people's folders.

    Raises:
        DataError: a name leads to nothing, there is no photo, or photos by themselves are named and nobody of all
            probes is in the gallery.
    """
    every = list(expanded(named))
    trees = {os.path.realpath(path): path for path in every if _holds_people(path)}
    parts: list[Dataset] = [people(root) for root in trees.values()]
    rest = [path for path in every if os.path.realpath(path) not in trees]
    if not rest:
        return parts
    found = find_photos(rest)
    taken = {os.path.realpath(item.path) for part in parts for item in part.items}
    loose = LoosePhotos([path for path in found.photos if os.path.realpath(path) not in taken], gallery, found.notices)
    parts.append(loose)
    seen, known = (
        sorted(map(composed, names)) for names in ({name for part in parts for name in part.label_names}, gallery)
    )
    if not set(seen) & set(known):
        near = next((near for name in seen if (near := nearest(name, known))), "")
        raise DataError(
            f"--probe: no photo is of a person of the gallery (got {shortened(seen)}; the gallery has "
            f"{shortened(known)}).{near} {_RULE}"
        )
    return parts


class LoosePhotos:
    """Photos that were named by themselves, and whose they are.

    A photo is of the person whose folder it lies in, the folder around distortion/ for a distorted one. Where that is
    nobody of the gallery it is of the person of the gallery whose name and an underscore its own begins with, the
    longest that fits. Where there is none either, the folder's name is that of an unknown person.

    Args:
        photos: the files.
        gallery: the names of its people.
        notices: what else there is to say of them.
    """

    def __init__(self, photos: Sequence[Path], gallery: Collection[str], notices: Sequence[str] = ()) -> None:
        known = {composed(name) for name in gallery}
        groups: dict[tuple[Path, str], tuple[list[Path], list[Path]]] = {}
        by_name: list[tuple[Path, str]] = []
        for path in photos:
            folder = Path(os.path.abspath(path)).parent  # noqa: PTH100 - links keep their names
            distorted = folder.name in DISTORTED_FOLDERS
            folder = folder.parent if distorted else folder
            person = composed(folder.name or str(folder))
            if person not in known and (begun := _begins_with(composed(path.stem), known)):
                person = begun
                by_name.append((path, person))
            groups.setdefault((folder, person), ([], []))[distorted].append(path)
        self.label_names = tuple(sorted({person for _, person in groups}))
        labels = {person: label for label, person in enumerate(self.label_names)}
        counts: Counter[str] = Counter()
        self.items: Sequence[Item] = [
            item
            for (_, person), (clean, distorted_ones) in groups.items()
            for item in items_of(person, labels[person], clean, distorted_ones, counts)
        ]
        del counts["source"]  # of a probe nobody asks which clean photo it shows
        self.notices: Sequence[str] = (*notices, *_tell(by_name), *remarks(Path("--probe"), REMARKS, counts))

    def __len__(self) -> int:
        return len(self.items)

    def read(self, index: int) -> Image:
        """Return photo `index` as uint8 (H, W, 3) RGB; see `images.read_image` for errors."""
        return read_image(self.items[index].path)


def _holds_people(path: Path) -> bool:
    return path.is_dir() and any(is_folder(entry) and entry.name not in DISTORTED_FOLDERS for entry in visible(path))


def _begins_with(stem: str, names: Collection[str]) -> str:
    """Return the longest of the names that a photo's begins with, an underscore after it; "" for none."""
    cuts = (place for place in range(len(stem) - 1, 0, -1) if stem[place] == "_")
    return next((stem[:place] for place in cuts if stem[:place] in names), "")


def _tell(by_name: Sequence[tuple[Path, str]]) -> Iterator[str]:
    if by_name:
        path, person = by_name[0]
        more = f" and {len(by_name) - 1} more" if len(by_name) > 1 else ""
        yield f"--probe: whose they are is the beginning of the name for {path} ({person}){more}"
