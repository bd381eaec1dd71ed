"""The checks of datasets."""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from metricface.contracts import CLEAN, Dataset, Item
from metricface.data.images import limit_threads
from metricface.errors import DataError
from metricface.testing.engine import Skip, Suite, Trial, Violation, check
from metricface.testing.randomness import draws_nothing, seeded
from metricface.testing.refusals import must_refuse

_SPLITS = ("train", "val")
_READ = 20  # photos of each split that are read
_MOST_COPIED = 64 * 2**20  # bytes
_NO_SPLIT = "no-such-split"


@dataclass(frozen=True, slots=True)
class DatasetOnTrial:
    """A dataset of a folder, and its splits."""

    trial: Trial
    root: Path
    splits: Mapping[str, Dataset]

    def make(self, split: str, root: Path | None = None) -> Dataset:
        """Make one split."""
        with seeded():
            made: Dataset = self.trial.make({"root": self.root if root is None else root, "split": split})
        return made


def prepare(trial: Trial) -> DatasetOnTrial:
    """Make the splits train and val of the folder."""
    if trial.root is None:
        raise Skip("it needs a folder of photos that it reads: give root (on the command line --root)")
    limit_threads()
    made = {split: trial.make({"root": trial.root, "split": split}) for split in _SPLITS}
    return DatasetOnTrial(trial, trial.root, made)


@check("items", why="Labels are columns of the head's logits, and every other fact goes into the report.")
def items(on: DatasetOnTrial) -> None:
    """There are len(dataset) items, each an Item with a path, a label, a condition and a severity of 0 to 5."""
    for split, dataset in on.splits.items():
        if len(dataset) != len(dataset.items) or not len(dataset):
            raise Violation(f"{split}: len() is {len(dataset)}, and there are {len(dataset.items)} items")
        for number, item in enumerate(dataset.items):
            if not isinstance(item, Item) or not isinstance(item.path, Path):
                raise Violation(f"{split}: item {number} is {item!r}")
            if type(item.label) is not int or not 0 <= item.label < len(dataset.label_names):
                raise Violation(f"{split}: {item.path} has the label {item.label!r} of {len(dataset.label_names)}")
            if not item.condition or item.severity not in range(6) or (item.condition == CLEAN and item.severity):
                raise Violation(f"{split}: {item.path} is {item.condition!r} with severity {item.severity!r}")


@check("label names", why="A class without a name or a photo is a column that means nothing.")
def label_names(on: DatasetOnTrial) -> None:
    """`label_names` is a tuple of names, each another one, and every label has a photo."""
    for split, dataset in on.splits.items():
        names = dataset.label_names
        if not isinstance(names, tuple) or len(set(names)) < len(names) or not all(names):
            raise Violation(f"{split}: label_names is {names!r}")
        empty = sorted(set(range(len(names))) - {item.label for item in dataset.items})
        if empty:
            raise Violation(f"{split}: no photo has the label {empty[0]} ({names[empty[0]]!r})")


@check("sources", why="The two readings of identification stand on which clean photo a distorted one shows.")
def sources(on: DatasetOnTrial) -> None:
    """Photos of one source have one label, and at most one of them is clean."""
    for split, dataset in on.splits.items():
        groups = defaultdict(list)
        for item in dataset.items:
            if item.source:
                groups[item.source].append(item)
        for source, group in groups.items():
            if len({item.label for item in group}) > 1 or sum(item.condition == CLEAN for item in group) > 1:
                raise Violation(f"{split}: {source!r} is the source of {group[0].path} and of {group[1].path}")


@check("notices", why="Each is shown to the user as a line of its own.")
def notices(on: DatasetOnTrial) -> None:
    """`notices` holds texts of one line."""
    for split, dataset in on.splits.items():
        wrong = [text for text in dataset.notices if not isinstance(text, str) or "\n" in text]
        if wrong or isinstance(dataset.notices, str):
            raise Violation(f"{split}: notices are {dataset.notices!r}")


@check("order", why="Seeds, outcomes and resumed runs name photos by their place.")
def order(on: DatasetOnTrial) -> None:
    """A second dataset of the folder has the same photos in the same places."""
    for split, dataset in on.splits.items():
        for number, (ours, theirs) in enumerate(zip(dataset.items, on.make(split).items, strict=True)):
            if ours != theirs:
                raise Violation(f"{split}: item {number} is {ours.path}, and then {theirs.path}")


@check("photos", why="They are resized, distorted and stacked as such.")
def photos(on: DatasetOnTrial) -> None:
    """`read` gives uint8 (H, W, 3)."""
    for dataset in on.splits.values():
        for index in range(min(_READ, len(dataset))):
            image = dataset.read(index)
            if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
                shown = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
                raise Violation(f"{dataset.items[index].path}: gives {shown}")


@check("inputs", why="Labels and conditions were counted when the items were first seen.")
def inputs(on: DatasetOnTrial) -> None:
    """Reading photos changes nothing of the items and of the names of the labels."""
    for split in on.splits:
        dataset = on.make(split)
        before = copy.deepcopy((list(dataset.items), tuple(dataset.label_names)))
        for index in range(min(_READ, len(dataset))):
            dataset.read(index)
            if (list(dataset.items), tuple(dataset.label_names)) != before:
                raise Violation(f"{split}: the items are others after photo {index} was read")


@check("threads", why="Photos are read by one thread for each core.")
def threads(on: DatasetOnTrial) -> None:
    """Photos read by several threads at once are those that one thread reads."""
    for split, dataset in on.splits.items():
        indices = list(range(min(_READ, len(dataset)))) * 2
        alone = [dataset.read(index).copy() for index in indices]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(dataset.read, indices))
        for index, ours, theirs in zip(indices, alone, together, strict=True):
            if not np.array_equal(ours, theirs):
                raise Violation(f"{split}: {dataset.items[index].path} is another photo the second time")


@check("broken photo", why="Photos that cannot be read are listed and left out by it; anything else ends the run.")
def broken_photo(on: DatasetOnTrial) -> None:
    """A file that is no photo is refused by `read` with a DataError; a copy of the folder gets one."""
    root, path = on.root.resolve(), on.splits["train"].items[0].path.resolve()
    if not path.is_relative_to(root) or not path.is_file():
        raise Skip("its photos are no files in the folder")
    if sum(file.stat().st_size for file in root.rglob("*") if file.is_file()) > _MOST_COPIED:
        raise Skip(f"the folder is larger than {_MOST_COPIED // 2**20} MiB; give a smaller one")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(root, copy)
        (copy / path.relative_to(root)).write_bytes(b"no photo at all")
        dataset = on.make("train", copy)
        try:
            dataset.read(0)
        except DataError:
            return
        except Exception as error:
            raise Violation(f"text in {path.name}: raises {type(error).__name__} ({error}), no DataError") from error
    raise Violation(f"text in {path.name}: is read as a photo")


@check("missing split", why="It is the commonest mistake in a recipe, and is to be told before any training.")
def missing_split(on: DatasetOnTrial) -> None:
    """A split or a folder that is not there is refused by a MetricFaceError that names it."""
    must_refuse(partial(on.make, _NO_SPLIT), f"split {_NO_SPLIT!r}", naming=_NO_SPLIT)
    nowhere = on.root / "no-such-folder"
    must_refuse(partial(on.make, "train", nowhere), f"root {nowhere}", naming=nowhere.name)


@check("random state", why="A draw from a global generator changes every draw after it, and spoils a resume.")
def random_state(on: DatasetOnTrial) -> None:
    """It draws from no global random number generator and seeds none."""
    draws_nothing(lambda: on.trial.make({"root": on.root, "split": "train"}).read(0), "photo 0 of train")


SUITE = Suite(
    prepare,
    (
        items,
        label_names,
        sources,
        notices,
        order,
        photos,
        inputs,
        threads,
        broken_photo,
        missing_split,
        random_state,
    ),
)
