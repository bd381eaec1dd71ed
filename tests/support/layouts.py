"""Tiny photos in every layout that `metricface init` recognises."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from metricface.data.images import write_image
from support.task_b_tree import make_tree, photo


def empty_photos(root: Path, names: Iterable[str]) -> Path:
    """Write empty files: enough for what only looks at names."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def class_tree(root: Path, classes: Iterable[str] = ("female", "male"), photos: int = 6) -> Path:
    """Write root/{train,val}/<class>/*.png, photos of its own "person" in each folder."""
    for split_number, split in enumerate(("train", "val")):
        for number, name in enumerate(classes):
            folder = root / split / name
            folder.mkdir(parents=True)
            for place in range(photos):
                write_image(folder / f"{split}{number}_{place}.png", photo(10 * split_number + number, place))
    return root


def hackathon(root: Path) -> Path:
    """Write root/Task_A and root/Task_B."""
    class_tree(root / "Task_A")
    make_tree(root / "Task_B")
    return root


def people_manifest(root: Path) -> Path:
    """Write a Task B tree and root/photos.csv that lists it; return the file."""
    make_tree(root / "tree")
    rows = [("path", "split", "identity", "condition", "source")]
    for path in sorted((root / "tree").rglob("*.png")):
        split, person = path.relative_to(root / "tree").parts[:2]
        clean, _, condition = path.stem.rpartition("_") if path.parent.name == "distortion" else ("", "", "")
        source = f"tree/{split}/{person}/{clean}.png" if condition else ""
        rows.append((path.relative_to(root).as_posix(), split, person, condition, source))
    return write_rows(root / "photos.csv", rows)


def class_manifest(root: Path) -> Path:
    """Write photos and root/photos.csv with a label each; return the file."""
    class_tree(root / "tree")
    paths = sorted((root / "tree").rglob("*.png"))
    rows = [(path.relative_to(root).as_posix(), path.parts[-3], path.parts[-2]) for path in paths]
    return write_rows(root / "photos.csv", [("path", "split", "label"), *rows])


def write_rows(file: Path, rows: Iterable[Iterable[str]]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows(rows)
    return file
