"""Writing a tree of clean photos and distorted versions, so that an interrupted build can simply be run again."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metricface.contracts import Distortion, Progress
from metricface.data.images import limit_threads, read_image, write_image
from metricface.data.making.beforehand import check_before, check_names, listed, said_of_too_many
from metricface.data.making.choice import Photo
from metricface.data.photos import too_many
from metricface.errors import DataError, counted
from metricface.files import write_atomically, write_json
from metricface.machine import usable_cores

RECORD = "metricface-data.json"
_DISTORTED_FOLDER = "distortion"


@dataclass(frozen=True, slots=True)
class Tree:
    """What lies in a tree.

    Args:
        folder: its root.
        folders: split -> number of people (or classes).
        photos: split -> number of clean photos.
        conditions: names of the distortions that each photo is there with.
        unreadable: why photos of the source are missing, one line each.
        found: it lay there finished; nothing was written.
        notices: what the user should know of what was not used.
    """

    folder: Path
    folders: Mapping[str, int]
    photos: Mapping[str, int]
    conditions: tuple[str, ...]
    unreadable: tuple[str, ...]
    found: bool
    notices: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the same for programs."""
        splits = {split: {"folders": n, "photos": self.photos[split]} for split, n in self.folders.items()}
        return {
            "folder": str(self.folder),
            "splits": splits,
            "conditions": list(self.conditions),
            "unreadable": list(self.unreadable),
            "notices": list(self.notices),
            "found": self.found,
        }

    def __str__(self) -> str:
        splits = ", ".join(
            f"{split} {counted(self.photos[split], 'photo', 'photos')} in {counted(number, 'folder', 'folders')}"
            for split, number in self.folders.items()
        )
        distorted = f"; each photo also {', '.join(self.conditions)} (JPEG)" if self.conditions else ""
        left_out = f"; {len(self.unreadable)} left out: {listed(self.unreadable)}" if self.unreadable else ""
        return f"{self.folder} {'lay there already' if self.found else 'made'}: {splits}{distorted}{left_out}"


def write_tree(
    folder: Path,
    photos: Sequence[Photo],
    distortions: Mapping[str, Distortion],
    *,
    seed: int,
    reading: Progress | None = None,
    progress: Progress | None = None,
) -> Tree:
    """Write folder/<split>/<person>/<photo> and, beside it, distortion/<photo>_<condition>.jpg for each distortion.

    Clean photos are copied byte for byte, distorted ones are JPEGs of quality 95 and of a random severity. Severity
    and noise depend on seed, person, photo and condition alone, not on order, split or other people. A record file
    says what the tree was made from: the same call again writes nothing, and an interrupted one goes on.

    Raises:
        DataError: a name is too long, the folder holds something else, it cannot be written, or more than 5 % of the
            photos cannot be read.
    """
    check_names(photos, distortions)
    wanted = _description(photos, distortions, seed)
    record = _open(folder, wanted)
    found = bool(record.get("finished"))
    if not found:
        limit_threads()
        if not record:
            check_before(folder, photos, reading)
        try:
            record = _write_all(folder, photos, distortions, seed, wanted, progress)
        except OSError as error:
            raise DataError(f"{folder}: cannot be written ({error.strerror}). Run it again to go on.") from error
    written = [photo for photo in photos if _target(folder, photo).exists()]
    return Tree(
        folder=folder,
        folders=Counter(split for split, _ in {(photo.split, photo.person): None for photo in written}),
        photos=Counter(photo.split for photo in written),
        conditions=tuple(distortions),
        unreadable=tuple(record["unreadable"]),
        found=found,
    )


def _target(folder: Path, photo: Photo) -> Path:
    return folder / photo.split / photo.person / photo.name


def _description(photos: Sequence[Photo], distortions: Mapping[str, Distortion], seed: int) -> dict[str, Any]:
    """Return what decides the content of a tree."""
    lines = "\n".join(f"{photo.split}/{photo.person}/{photo.name} {photo.path.stat().st_size}" for photo in photos)
    return {
        "photos": hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest(),
        "distortions": sorted(distortions),
        "seed": seed,
    }


def _open(folder: Path, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the record of a tree made of the same, finished or not, {} when there is nothing yet; refuse the rest."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return {}
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DataError(
            f"{folder}: is not empty, and nothing that this command made. Name another folder, or empty it."
        ) from None
    others = [key for key, value in wanted.items() if record.get(key) != value]
    if others:
        raise DataError(
            f"{folder}: was made with other {' and '.join(others)}. Name another folder, or delete it to make it anew."
        )
    return record


def _write_all(
    folder: Path,
    photos: Sequence[Photo],
    distortions: Mapping[str, Distortion],
    seed: int,
    wanted: Mapping[str, Any],
    progress: Progress | None,
) -> Mapping[str, Any]:
    """Write what is missing of the tree; return its finished record."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RECORD, {**wanted, "finished": False})
    unreadable: list[str] = []
    pool = ThreadPoolExecutor(usable_cores())
    try:
        reasons = pool.map(lambda photo: _write(folder, photo, distortions, seed), photos)
        for done, reason in enumerate(reasons, start=1):
            if reason is not None:
                unreadable.append(reason)
            if progress is not None:
                progress(done, len(photos))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C ends it now, not after the last photo
    if unreadable and too_many(len(unreadable), len(photos)):
        said = said_of_too_many(unreadable, len(photos))
        raise DataError(f"{said} Fix or remove them, delete {folder} and run it again.")
    record = {**wanted, "finished": True, "unreadable": unreadable}
    write_json(folder / RECORD, record)
    return record


def _write(folder: Path, photo: Photo, distortions: Mapping[str, Distortion], seed: int) -> str | None:
    """Write one photo and its distorted versions; return why it cannot be used, or None.

    The clean copy comes last: where it stands, the photo is done.
    """
    target = _target(folder, photo)
    distorted_folder = target.parent / _DISTORTED_FOLDER
    if target.exists():
        return None
    try:
        image, content = read_image(photo.path), photo.path.read_bytes()
        (distorted_folder if distortions else target.parent).mkdir(parents=True, exist_ok=True)
        for condition, distortion in distortions.items():
            rng = _generator(seed, photo.person, target.stem, condition)
            distorted = distortion(image, int(rng.integers(1, 6)), rng)
            write_image(distorted_folder / f"{target.stem}_{condition}.jpg", distorted)
    except DataError as error:
        return f"{photo.path}: {error}" if str(photo.path) not in str(error) else str(error)
    write_atomically(target, lambda file: file.write(content))
    return None


def _generator(seed: int, *names: str) -> np.random.Generator:
    """Return a generator that depends on the seed and the names alone, on every machine."""
    digest = hashlib.sha256("\0".join((str(seed), *names)).encode("utf-8", "surrogateescape")).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
