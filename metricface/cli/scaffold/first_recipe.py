"""A first recipe for photos of one's own: `metricface init`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import cast

import tomli_w

from metricface.build.preflight import check_people_apart
from metricface.cli.scaffold.layout import SPLITS, Layout, Task, recognise
from metricface.components.evaluators.identification import Identification
from metricface.contracts import CLEAN, Dataset
from metricface.errors import DataError, UsageError, counted
from metricface.evaluation.identifiable import DISTORT

_TASKS = ("a", "b")
_VIEWS = 4
_MOST_PEOPLE = 16
_MOST_PHOTOS = 32
_ABOUT = {
    "identity-folder": "a Task B tree: a folder per person",
    "class-folder": "a Task A tree: a folder per class",
    "csv-manifest": "a CSV manifest",
}
_COMMENT_COLUMN = 30


@dataclass(frozen=True, slots=True)
class FirstRecipe:
    """A recipe as text, and what was found that it is made for, one line each."""

    text: str
    findings: tuple[str, ...]


def first_recipe(data: Path, task: str | None = None) -> FirstRecipe:
    """Look at photos and return a recipe that trains on them.

    Args:
        data: see `layout.recognise`.
        task: "a", "b" or None where the photos say it.

    Raises:
        UsageError: no such task, or the user has to choose.
        DataError: the photos are not recognised, or cannot be trained on and evaluated as they are.
    """
    if task is not None and task not in _TASKS:
        raise UsageError(f"--task: must be a (classes) or b (people) (got {task!r}).")
    layout = recognise(data, cast("Task | None", task))
    check_people_apart(layout.splits)
    values = _task_a(layout) if layout.task == "a" else _task_b(layout)
    template = files("metricface.cli.scaffold").joinpath(f"task_{layout.task}.toml").read_text(encoding="utf-8")
    text = Template(template).substitute(values, name=_toml(_run_name(layout)), data=_data_section(layout))
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{str(data)!r}: a name in it is not UTF-8, so no recipe can say it. Rename it.") from error
    return FirstRecipe(text, _findings(layout))


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet.

    Raises:
        UsageError: it is there, or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path}: is there already and stays as it is. Name another file: --out FILE") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}). Name another file: --out FILE") from error


def _task_a(layout: Layout) -> dict[str, object]:
    """Return what the template of Task A leaves open."""
    head = ("binary = true", f"one logit: the log-odds of {_toml(layout.classes[-1])}")
    if len(layout.classes) > 2:
        head = ("binary = false", "one logit per class")
    return {
        "batch_size": min(_MOST_PHOTOS, len(layout.splits["train"])),
        "binary": _commented(*head),
        "loss": _toml("cross-entropy" if len(layout.classes) > 2 else "bce"),
    }


def _task_b(layout: Layout) -> dict[str, object]:
    """Return what the template of Task B leaves open; refuse what could not be trained on or evaluated."""
    train, val = (layout.splits[split] for split in SPLITS)
    Identification().check(val)
    people = len(train.label_names)
    if people < 2:
        raise DataError(f"{layout.root}: train has one person ({train.label_names[0]}). Add others to tell apart.")
    chosen = min(_MOST_PEOPLE, people)
    return {
        "batch_size": chosen * _VIEWS,
        "people": chosen,
        "train_people": people,
        "views": _VIEWS,
        # Where none is distorted on disk, half of the photos are distorted on the way.
        "probability": 0.5 if all(item.condition == CLEAN for item in train.items) else 0.2,
    }


def _run_name(layout: Layout) -> str:
    """Return a name for the run's folder after that of the photos."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", layout.root.resolve().name)[:50].strip("._-")
    return plain or f"task_{layout.task}"


def _data_section(layout: Layout) -> str:
    """Return the dataset's keys with comments."""
    lines = [(f"name = {_toml(layout.dataset)}", ""), (f"root = {_toml(layout.root.as_posix())}", "")]
    if layout.dataset == "identity-folder":
        lines[0] = (lines[0][0], "person/*.jpg and person/distortion/<stem>_<condition>.jpg")
    if layout.manifest is not None:
        lines.append((f"manifest = {_toml(layout.manifest.as_posix())}", "path, split, identity or label, ..."))
    if layout.classes:
        listed = ", ".join(_toml(name) for name in layout.classes)
        positive = "; the last of two is the positive one" if len(layout.classes) == 2 else ""
        lines.append((f"classes = [{listed}]", f"in label order{positive}"))
    if layout.dataset == "class-folder":
        lines.append(('# person_pattern = "^(.+)_[0-9]+$"', "if names say who it is: nobody may be in both splits"))
    return "\n".join(_commented(*line) for line in lines)


def _commented(line: str, text: str) -> str:
    return f"{line.ljust(_COMMENT_COLUMN - 2)}  # {text}" if text else line


def _toml(value: str) -> str:
    """Return a string as TOML writes it."""
    return tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")


def _findings(layout: Layout) -> tuple[str, ...]:
    """Return what was found, and what the datasets say of it."""
    splits = [f"{split}: {_content(layout, dataset)}" for split, dataset in layout.splits.items()]
    notices = dict.fromkeys(notice for dataset in layout.splits.values() for notice in dataset.notices)
    clean_alone = layout.task == "b" and all(item.condition == CLEAN for item in layout.splits["val"].items)
    order = ["the order of the classes is alphabetical: change data.classes if another is meant"]
    return (
        f"{layout.manifest or layout.root}: {_ABOUT[layout.dataset]}",
        *splits,
        *notices,
        *([f"val: no photo is distorted: the report has cross-source alone, of clean photos. {DISTORT}"] * clean_alone),
        *(order if layout.classes else []),
        *layout.remarks,
    )


def _content(layout: Layout, dataset: Dataset) -> str:
    """Return how many photos a split has, of whom or what, in which conditions."""
    conditions = Counter(item.condition for item in dataset.items)
    if layout.task == "a":
        labels = Counter(dataset.label_names[item.label] for item in dataset.items)
        what = _counted({name: labels[name] for name in layout.classes})
    else:
        what = counted(len(dataset.label_names), "person", "people")
    in_order = sorted(conditions, key=lambda name: (name != CLEAN, name))
    distorted = f" ({_counted({name: conditions[name] for name in in_order})})" if in_order != [CLEAN] else ""
    return f"{what}; {counted(len(dataset), 'photo', 'photos')}{distorted}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
