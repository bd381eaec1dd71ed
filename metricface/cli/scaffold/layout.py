"""What a folder of photos is: which task, which dataset reads it, and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from metricface.components.datasets.class_folder import ClassFolder
from metricface.components.datasets.csv_manifest import CsvManifest
from metricface.components.datasets.identity_folder import DISTORTED_FOLDERS, IdentityFolder
from metricface.contracts import Dataset
from metricface.data.folders import is_folder, photos, shortened, visible
from metricface.data.images import is_image
from metricface.data.manifest import REQUIRED
from metricface.data.tables import Table, header, read_table
from metricface.errors import DataError, UsageError, counted

Task = Literal["a", "b"]

SPLITS = ("train", "val")
_TASK_FOLDERS: Mapping[str, Task] = {"task_a": "a", "task_b": "b"}
_LOOKED_FOR = (
    "Looked for train/ and val/ with a folder per person (distortion/ in it) or per class, for Task_A/ and Task_B/ "
    "that hold such, and for a CSV manifest with the columns path, split and identity or label."
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Photos that can be trained on.

    Args:
        task: "a" (which class) or "b" (who is it, under distortion).
        dataset: the name that a recipe gives in [data].
        root: folder of the photos.
        splits: train and val, opened.
        classes: of Task A, in alphabetical order, for nothing on disk says which is the positive one.
        manifest: the CSV file, for csv-manifest.
        remarks: what else the user should know, one line each.
    """

    task: Task
    dataset: str
    root: Path
    splits: Mapping[str, Dataset]
    classes: tuple[str, ...] = ()
    manifest: Path | None = None
    remarks: tuple[str, ...] = ()


def recognise(data: Path, task: Task | None = None) -> Layout:
    """Find out what a folder or a manifest holds, without opening a photo.

    Args:
        data: a tree with train and val, a folder with Task_A and Task_B, a folder with a manifest, or a manifest.
        task: what the user says; None where the photos say it.

    Raises:
        DataError: it is none of these (says what was looked for and what is there), or its dataset refuses it.
        UsageError: it may be several things; says how to choose.
    """
    if data.is_file():
        return _manifest(data, task)
    if not data.is_dir():
        raise DataError(f"{data}: no such folder. Run `metricface data demo` for the demo faces.")
    folders = {entry.name: Path(entry.path) for entry in visible(data) if is_folder(entry)}
    tables = [path for path in sorted(data.glob("*.csv")) if set(REQUIRED) <= set(header(path))]
    by_task = {_TASK_FOLDERS[name.lower()]: path for name, path in folders.items() if name.lower() in _TASK_FOLDERS}
    if by_task or folders.keys() >= set(SPLITS):
        layout = _tree(data, task) if folders.keys() >= set(SPLITS) else _of_tasks(data, by_task, task)
        also = (f"{path}: a manifest lies there too; --data {path} takes it instead" for path in tables)
        return replace(layout, remarks=(*layout.remarks, *also))
    if len(tables) > 1:
        raise UsageError(f"{data}: holds {len(tables)} manifests. Take one: --data {tables[0]}")
    if tables:
        return _manifest(tables[0], task)
    raise _unknown(data, folders)


def _of_tasks(data: Path, by_task: Mapping[Task, Path], task: Task | None) -> Layout:
    """Go into the task's own folder."""
    if task is None and len(by_task) > 1:
        raise UsageError(
            f"{data}: holds {by_task['a'].name} (which class) and {by_task['b'].name} (who is it). "
            "Say which: --task a or --task b"
        )
    chosen: Task = next(iter(by_task)) if task is None else task
    if chosen not in by_task:
        there = ", ".join(path.name for path in by_task.values())
        raise DataError(f"{data}: holds no Task_{chosen.upper()} (got {there}). Leave --task out, or name its folder.")
    return recognise(by_task[chosen], chosen)


def _tree(root: Path, task: Task | None) -> Layout:
    """Open a tree of train and val as what it is."""
    found = {split: _survey(root / split) for split in SPLITS}
    names = {split: survey.folders for split, survey in found.items()}
    if task is None:
        task = "b" if any(survey.distorted for survey in found.values()) else _guess(root, names)
    if task == "b":
        people: dict[str, Dataset] = {split: IdentityFolder(root=root, split=split) for split in SPLITS}
        return Layout("b", "identity-folder", root, people)
    classes = tuple(sorted(names["train"]))
    _check_classes(root / "train", classes)
    splits: dict[str, Dataset] = {split: ClassFolder(root=root, split=split, classes=classes) for split in SPLITS}
    return Layout("a", "class-folder", root, splits, classes)


@dataclass(frozen=True, slots=True)
class _Survey:
    """A split at a glance: its folders with photos, and whether any has distorted ones."""

    folders: frozenset[str]
    distorted: bool


def _survey(split: Path) -> _Survey:
    folders = {entry.name: Path(entry.path) for entry in visible(split) if is_folder(entry)}
    distorted = (path / name for path in folders.values() for name in DISTORTED_FOLDERS)
    return _Survey(
        frozenset(name for name, path in folders.items() if any(photos(path, Counter()))),
        any(path.is_dir() and any(photos(path, Counter())) for path in distorted),
    )


def _guess(root: Path, names: Mapping[str, frozenset[str]]) -> Task:
    """Return the task of a tree without distorted photos where its folders leave no doubt.

    Classes are in both splits, people in one: two folders that both splits have are classes, and folders of which no
    split has the other's are people.
    """
    train, val = (names[split] for split in SPLITS)
    if train == val and len(train) == 2:
        return "a"
    if not train & val:
        return "b"
    raise UsageError(
        f"{root}: {counted(len(train), 'folder', 'folders')} in train, {len(val)} in val, {len(train & val)} in both, "
        "no distortion/ in any: they may be classes or people. Say which: --task a (classes) or --task b (people, each "
        "in one split only)"
    )


def _manifest(file: Path, task: Task | None) -> Layout:
    """Open a manifest; its photos lie beside it or in the working directory."""
    table = read_table(file, REQUIRED, _LOOKED_FOR)
    found: Task = "a" if "label" in table.columns else "b"
    if task not in (None, found):
        there = "has a column label, so it is for Task A" if found == "a" else "has no column label"
        raise UsageError(f"--task: {file} {there} (got {task}). Leave --task out, or change the column.")
    classes: tuple[str, ...] = ()
    if found == "a":
        classes = tuple(sorted({row.values["label"] for row in table.rows} - {""}))
        _check_classes(file, classes)
    root = _root_of(file, table)
    splits = {split: CsvManifest(root=root, split=split, manifest=file, classes=classes) for split in SPLITS}
    others = splits["train"].other_splits(SPLITS)
    return Layout(found, "csv-manifest", root, splits, classes, file, (others,) if others else ())


def _check_classes(where: Path, classes: Sequence[str]) -> None:
    """Refuse to train a classifier of a single class."""
    if len(classes) < 2:
        raise DataError(f"{where}: classes must be two or more (got {shortened(classes)}). Add the others.")


def _root_of(file: Path, table: Table) -> Path:
    """Return the folder that a manifest's first path is found in; the manifest's own when it is nowhere."""
    first = table.rows[0].values["path"]
    return next((root for root in (file.parent, Path()) if (root / first).is_file()), file.parent)


def _unknown(data: Path, folders: Mapping[str, Path]) -> DataError:
    """Return the refusal of a folder that is nothing we read, with what is there."""
    of_photos = [name for name, path in folders.items() if any(photos(path, Counter()))]
    if of_photos and not folders.keys() & set(SPLITS):
        return DataError(
            f"{data}: {counted(len(of_photos), 'folder', 'folders')} of photos ({shortened(of_photos)}), but no train "
            f"and val. If they are people, make a Task B tree: metricface data distort {data} DST. If they are "
            "classes, lay them out as train/<class> and val/<class>."
        )
    loose = sum(is_image(Path(entry.name)) for entry in visible(data))
    nested = next(iter(folders), "")
    hint = f" Perhaps: --data {data / nested}" if len(folders) == 1 and nested not in SPLITS else ""
    missing = [split for split in SPLITS if split not in folders]
    if len(missing) == 1:
        hint = f" There is no {missing[0]}/."
    return DataError(
        f"{data}: not recognised (folders there: {shortened(list(folders))}; photos: {loose}). {_LOOKED_FOR}{hint}"
    )
