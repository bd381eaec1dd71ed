"""Which photos of which people go into which split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from metricface.data.folders import count_loose, is_folder, no_photos, photos, remarks, shortened, visible
from metricface.data.images import is_image
from metricface.data.tables import Row, read_table
from metricface.errors import DataError, UsageError, counted, nearest

_VAL_SHARE = 0.2
_SPLITS = ("train", "val")
_COLUMNS = ("split", "person", "photo")
_REMARKS = {
    "loose": ("photo lies in no person's folder and is left out", "photos lie in no person's folder and are left out"),
    "few": (
        "person has fewer photos than --min-per-person and is left out",
        "people have fewer photos than --min-per-person and are left out",
    ),
    "folder": ("folder inside a person's folder is not read", "folders inside people's folders are not read"),
    "twin": (
        "photo shares name and person with a photo of another suffix and is left out. Rename it if it is another photo",
        "photos share name and person with a photo of another suffix and are left out. "
        "Rename them if they are other photos",
    ),
}


@dataclass(frozen=True, slots=True)
class Photo:
    """A clean photo and its place in the tree: `path` is copied to <tree>/<split>/<person>/<name>."""

    path: Path
    split: str
    person: str
    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Photos with their places, and what the user should know of others that lie there."""

    photos: Sequence[Photo]
    notices: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Draw:
    """How many people are drawn, and what of them.

    Args:
        train_people: how many to train on; all that are left when None.
        val_people: how many to evaluate on; a fifth, and at least one, when None.
        min_per_person: people with fewer photos are left out.
        limit_per_person: the first so many photos of each person, by name; all when None.

    Raises:
        UsageError: a number is below 1.
    """

    train_people: int | None = None
    val_people: int | None = None
    min_per_person: int = 2
    limit_per_person: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            number = getattr(self, field.name)
            if number is not None and number < 1:
                raise UsageError(f"--{field.name.replace('_', '-')}: must be at least 1 (got {number}).")


def choose(source: Path, draw: Draw | None = None, *, seed: int = 0) -> Choice:
    """Draw the people of train and val, disjoint, from source/<person>/<photo>.

    Args:
        source: a folder per person; sub-folders of those are not looked at.
        draw: how many people and photos; None for what Draw says without arguments.
        seed: of the draw.

    Raises:
        DataError: no such folder, or too few people; says how many there are.
    """
    draw = draw or Draw()
    counts: Counter[str] = Counter()
    everybody = _people(source, counts)
    people = [person for person, photos in everybody.items() if len(photos) >= draw.min_per_person]
    counts["few"] = len(everybody) - len(people)
    notices = remarks(source, _REMARKS, counts)
    train, val = _numbers(len(people), draw.train_people, draw.val_people)
    if train + val > len(people):
        besides = no_photos(counts)
        raise DataError(
            f"{source}: {len(people)} of {len(everybody)} people have {draw.min_per_person} photos or more, too few "
            f"for {train} to train on and {val} to evaluate on. Ask for fewer, or lower --min-per-person."
            + (f" {besides[:1].upper()}{besides[1:]}." if besides else "")
        )
    drawn = [people[number] for number in np.random.default_rng(seed).permutation(len(people))]
    splits = {"val": drawn[:val], "train": drawn[val : val + train]}
    chosen = [
        Photo(path, split, person, path.name)
        for split in ("train", "val")
        for person in sorted(splits[split])
        for path in everybody[person][: draw.limit_per_person]
    ]
    return Choice(chosen, notices)


def _numbers(people: int, train: int | None, val: int | None) -> tuple[int, int]:
    """Fill in how many people of so many to train and to evaluate on, at least one each."""
    if val is None:
        val = max(1, min(round(_VAL_SHARE * people), people - (train or 1)))
    return max(1, people - val) if train is None else train, val


def read_choice(source: Path, table: Path) -> Choice:
    """Read the choice from a CSV file with the columns split, person, photo (a file name).

    Raises:
        DataError: names file and line of what is missing on disk, listed twice, leads out of its folder, or puts a
            person into two splits.
    """
    rows = read_table(table, _COLUMNS, "The columns are split, person, photo.").rows
    sizes = Counter(row.values["split"] for row in rows if row.values["split"] not in _SPLITS)
    others = [f"{split} ({counted(number, 'photo', 'photos')})" for split, number in sizes.items()]
    near = nearest(others[0].partition(" ")[0], _SPLITS) if others else ""
    told = f"{table}: makes splits besides train and val, which recipes do not read: {shortened(others)}.{near}"
    return Choice(_checked(source, table, rows), (told,) if others else ())


def _checked(source: Path, table: Path, rows: Sequence[Row]) -> list[Photo]:
    """Turn the rows of a table into photos, refusing the first that will not do."""
    split_of: dict[str, str] = {}
    line_of: dict[tuple[str, str], int] = {}
    photos: list[Photo] = []
    for row in rows:
        line = row.line
        split, person, name = (row.values[column] for column in _COLUMNS)
        for column, value in zip(_COLUMNS, (split, person, name), strict=True):
            if not _is_plain_name(value):
                raise DataError(f"{table}:{line}: {column} must be a plain name (got {value!r}).")
        if split_of.setdefault(person, split) != split:
            raise DataError(f"{table}:{line}: {person} is in {split_of[person]} already and cannot be in {split} too.")
        first = line_of.setdefault((person, Path(name).stem), line)
        if first != line:
            raise DataError(f"{table}:{line}: {person} has a photo {Path(name).stem!r} already, in line {first}.")
        path = source / person / name
        if not (is_image(path) and path.is_file()):
            what = "person" if not path.parent.is_dir() else "photo"
            raise DataError(f"{table}:{line}: no such {what} (looked for {path}).")
        photos.append(Photo(path, split, person, name))
    return photos


def _is_plain_name(name: str) -> bool:
    """Whether a name from a table stays in its folder and is neither hidden nor empty."""
    return bool(name) and not name.startswith(".") and not set(name) & set("/\\:\0")


def _people(source: Path, counts: Counter[str]) -> Mapping[str, Sequence[Path]]:
    """Return every person's photos by name; of photos that differ in the suffix alone, the first. Count the others."""
    if not source.is_dir():
        raise DataError(f"{source}: {'not a folder' if source.exists() else 'no such folder'}. It holds the people.")
    people: dict[str, Sequence[Path]] = {}
    for person in visible(source):
        if not is_folder(person):
            count_loose(counts, Path(person.name))
            continue
        by_stem: dict[str, Path] = {}
        for path in photos(Path(person.path), counts):
            counts["twin"] += by_stem.setdefault(path.stem, path) is not path
        people[person.name] = list(by_stem.values())
    return people
