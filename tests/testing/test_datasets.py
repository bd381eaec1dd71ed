"""Every check of a dataset finds the flaw that it is for, and nothing in a good dataset."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.flaws import GENERAL, Flaws, assert_found, assert_good, exempt, own_checks
from support.layouts import class_tree

from metricface.components.datasets.class_folder import ClassFolder
from metricface.contracts import Item
from metricface.errors import DataError
from metricface.testing import check_dataset, examine
from metricface.testing import datasets as kit


class Folder:
    """The photos of two classes.

    Args:
        root: holds the splits.
        split: holds the classes.
        crop_size: pixels of each side that are read.
    """

    label_names = ("female", "male")
    notices = ("classes: female, male",)

    def __init__(self, *, root: Path, split: str, crop_size: int = 99) -> None:
        self._photos = ClassFolder(root=root, split=split, classes=("female", "male"))
        self.crop_size = crop_size
        self.items = list(self._photos.items)

    def __len__(self) -> int:
        return len(self.items)

    def read(self, index: int) -> np.ndarray:
        return self._photos.read(index)[: self.crop_size, : self.crop_size]


def flawed(**members: object) -> type:
    return type("Flawed", (Folder,), {"__doc__": Folder.__doc__, **members})


def reading(change: object) -> type:
    """A dataset whose photos are changed: (self, image, index) -> image."""
    return flawed(read=lambda self, index: change(self, Folder.read(self, index), index))


def items(change: object) -> type:
    """A dataset whose items are changed: a list of them -> a list of them."""

    def made(self: Folder, *, root: Path, split: str, crop_size: int = 99) -> None:
        Folder.__init__(self, root=root, split=split, crop_size=crop_size)
        self.items = change(self.items)

    return flawed(__init__=made)


class Positional(Folder):
    """A parameter by position."""

    def __init__(self, root: Path, split: str) -> None: ...


class BadDefault(Folder):
    """A default of another type."""

    def __init__(self, *, root: Path, split: str, crop_size: int = "all") -> None: ...


class Unmakeable(Folder):
    """Cannot be made."""

    def __init__(self, *, root: Path, split: str) -> None:
        raise ValueError("no licence")


class Lenient(Folder):
    """Takes the split train where there is no other."""

    def __init__(self, *, root: Path, split: str) -> None:
        super().__init__(root=root, split=split if (root / split).is_dir() else "train")


def black(self: Folder, index: int) -> np.ndarray:
    """Black in place of what cannot be read."""
    try:
        return Folder.read(self, index)
    except DataError:
        return np.zeros((8, 8, 3), np.uint8)


class OneBuffer(Folder):
    """Reads every photo into the same memory, as decoders that are given a buffer do."""

    def read(self, index: int) -> np.ndarray:
        self._buffer = getattr(self, "_buffer", np.zeros((40, 40, 3), np.uint8))
        self._buffer[:] = super().read(index)
        return self._buffer


def shuffled(found: list[Item]) -> list[Item]:
    return random.SystemRandom().sample(found, len(found))


def drawing(self: Folder, image: np.ndarray, index: int) -> np.ndarray:
    np.random.rand(1)
    return image


def one_source(found: list[Item]) -> list[Item]:
    return [replace(item, source="the only one") for item in found]


def relabelling(self: Folder, image: np.ndarray, index: int) -> np.ndarray:
    self.items[0] = replace(self.items[0], condition="read")
    return image


FLAWS: Flaws = {
    "contract": (Positional, "parameter 'root' is not keyword-only"),
    "arguments": (BadDefault, "the default of 'crop_size' is refused"),
    "docstring": (flawed(__doc__="Photos of classes."), "no 'root' under Args"),
    "units": (flawed(__doc__=Folder.__doc__.replace("pixels of", "how much of")), "'crop_size' does not say whether"),
    "exemptions": (exempt(Folder, photo="why not"), "no check 'photo'. Did you mean \"photos\"?"),
    "made": (Unmakeable, "ValueError: no licence"),
    "items": (items(lambda found: [replace(item, label=item.label + 1) for item in found]), "has the label 2 of 2"),
    "label names": (flawed(label_names=("a", "b", "c")), "train: no photo has the label 2 ('c')"),
    "sources": (items(one_source), "train: 'the only one' is the source of "),
    "notices": (flawed(notices="a text"), "train: notices are 'a text'"),
    "order": (items(shuffled), "train: item "),
    "photos": (reading(lambda self, image, index: image[..., 0]), "gives uint8 (40, 40)"),
    "inputs": (reading(relabelling), "train: the items are others after photo 0 was read"),
    "threads": (OneBuffer, "is another photo the second time"),
    "broken photo": (flawed(read=black), "is read as a photo"),
    "missing split": (Lenient, "split 'no-such-split': is not refused"),
    "random state": (reading(drawing), "the global generator of numpy.random is in another state afterwards"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_tree(tmp_path_factory.mktemp("photos") / "tree")


def test_a_good_dataset_passes_every_check_and_its_folder_stays(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert_good("dataset", Folder, root=root)
    check_dataset(Folder, root=root, crop_size=32)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


@pytest.mark.parametrize("check", FLAWS)
def test_every_check_finds_its_flaw(check: str, root: Path) -> None:
    assert_found("dataset", check, FLAWS, root=root)


def test_no_check_is_without_a_flaw() -> None:
    assert set(FLAWS) == GENERAL | own_checks("dataset")


def test_without_a_folder_only_the_general_checks_are_run_and_the_report_says_so() -> None:
    outcomes = {it.name: it for it in examine("dataset", Folder).outcomes}
    assert {name for name, it in outcomes.items() if it.status == "passed"} == GENERAL - {"made"}
    assert {it.status for it in outcomes.values()} == {"passed", "skipped"}
    assert (
        outcomes["photos"].said == "it needs a folder of photos that it reads: give root (on the command line --root)"
    )


def test_a_large_folder_is_not_copied(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit, "_MOST_COPIED", 100)
    (skipped,) = [it for it in examine("dataset", Folder, root=root).outcomes if it.status == "skipped"]
    assert (skipped.name, "is larger than" in skipped.said) == ("broken photo", True)


@pytest.mark.parametrize(
    ("component", "check", "said"),
    [
        (flawed(__len__=lambda self: 3), "items", "train: len() is 3, and there are 12 items"),
        (items(lambda found: [str(item.path) for item in found]), "items", "train: item 0 is '"),
        (items(lambda found: [replace(item, severity=2) for item in found]), "items", "is 'clean' with severity 2"),
        (flawed(label_names=["a", "b"]), "label names", "train: label_names is ['a', 'b']"),
        (flawed(label_names=("a", "a")), "label names", "train: label_names is ('a', 'a')"),
        (flawed(notices=("two\nlines",)), "notices", "train: notices are ('two\\nlines',)"),
        (reading(lambda self, image, index: image.tolist()), "photos", "gives list"),
    ],
)
def test_what_else_a_check_finds(component: type, check: str, said: str, root: Path) -> None:
    found = {it.name: it.said for it in examine("dataset", component, root=root).failed}
    assert said in found[check]
