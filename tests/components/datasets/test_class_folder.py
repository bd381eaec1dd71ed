from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from metricface.build.preflight import check_people_apart
from metricface.components.datasets.class_folder import ClassFolder
from metricface.contracts import KINDS
from metricface.data.images import write_image
from metricface.errors import DataError, RecipeError
from metricface.recipe.signature import arguments_model, validated

CLASSES = ("male", "female")


def tree(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def opened(root: Path, split: str = "val", classes: tuple[str, ...] = CLASSES, **arguments: str) -> ClassFolder:
    return ClassFolder(root=root, split=split, classes=classes, **arguments)


def test_labels_follow_the_classes_not_the_alphabet(tmp_path: Path) -> None:
    tree(tmp_path, ["val/female/b.jpg", "val/female/a.PNG", "val/male/a.jpg", "val/male/a.png"])
    dataset = opened(tmp_path)
    assert [(item.path.relative_to(tmp_path / "val").as_posix(), item.label) for item in dataset.items] == [
        ("male/a.jpg", 0),
        ("male/a.png", 0),
        ("female/a.PNG", 1),
        ("female/b.jpg", 1),
    ]
    assert dataset.label_names == CLASSES
    assert dataset.notices == ("classes: male = 0, female = 1 (positive)",)
    assert {(item.condition, item.identity) for item in dataset.items} == {("clean", "")}
    assert [item.source for item in dataset.items] == ["male/a.jpg", "male/a.png", "female/a.PNG", "female/b.jpg"]
    assert len(dataset) == 4


def test_of_three_classes_none_is_positive(tmp_path: Path) -> None:
    tree(tmp_path, ["val/a/1.jpg", "val/b/1.jpg", "val/c/1.jpg"])
    assert opened(tmp_path, classes=("c", "a", "b")).notices == ("classes: c = 0, a = 1, b = 2",)


def test_a_split_folder_can_be_the_root_itself(tmp_path: Path) -> None:
    tree(tmp_path, ["val/male/1.jpg", "val/female/1.jpg"])
    assert list(opened(tmp_path / "val", "").items) == list(opened(tmp_path).items)


def test_it_reads_rgb(tmp_path: Path) -> None:
    tree(tmp_path, ["val/female/1.png"])
    (tmp_path / "val/male").mkdir(parents=True)
    write_image(tmp_path / "val/male/1.png", np.full((8, 8, 3), 99, np.uint8) * np.array([2, 1, 0], np.uint8))
    assert opened(tmp_path).read(0)[0, 0].tolist() == [198, 99, 0]


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    names = ["val/male/1.jpg", "val/female/1.jpg", "val/female/notes.txt", "val/male/distortion/1_noisy.jpg"]
    names += ["val/loose.jpg", "val/README.md", "val/empty/notes.txt", "val/.cache/1.jpg", "val/male/._1.jpg"]
    tree(tmp_path, names)
    (tmp_path / "val/male/lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    dataset = opened(tmp_path)
    assert len(dataset) == 2
    assert [notice.removeprefix(f"{tmp_path / 'val'}: ") for notice in dataset.notices] == [
        "classes: male = 0, female = 1 (positive)",
        "1 photo lies in the split itself, in no class, and is left out",
        "1 folder that is no class holds no photo and is left out",
        "1 folder inside a class's folder is not read",
        "left out as no photos: 2 .txt, 1 .md, 1 with no file behind the name",
    ]


DEMO = ["val/male/s4_1.pgm", "val/male/s4_2.pgm", "val/female/s8_3.pgm", "val/female/other.pgm"]


def test_the_person_is_the_first_group_of_the_pattern(tmp_path: Path) -> None:
    dataset = opened(tree(tmp_path, DEMO), person_pattern="^(s[0-9]+)_")
    assert [item.identity for item in dataset.items] == ["s4", "s4", "", "s8"]
    assert dataset.notices[1:] == (
        f"{tmp_path / 'val'}: 1 photo's name does not match data.person_pattern: who it shows is unknown",
    )


def test_people_of_a_pattern_are_refused_in_two_splits(tmp_path: Path) -> None:
    tree(tmp_path, [*DEMO, "train/male/s9_1.pgm", "train/male/s4_3.pgm", "train/female/s10_1.pgm"])
    splits = {split: opened(tmp_path, split, person_pattern="^(s[0-9]+)_") for split in ("train", "val")}
    with pytest.raises(DataError, match=r"^data: 1 person is in both train and val \(s4\)"):
        check_people_apart(splits)


def test_a_pattern_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        opened(tree(tmp_path, DEMO), person_pattern="^(p[0-9]+)_")
    assert str(caught.value) == (
        f"data.person_pattern: matches none of the 4 photos of {tmp_path / 'val'} (got '^(p[0-9]+)_'; the first is "
        "'s4_1'). Its first group must be the person. Where names do not say who it is: person_pattern = \"\"."
    )


def test_an_empty_pattern_is_none(tmp_path: Path) -> None:
    dataset = opened(tree(tmp_path, DEMO), person_pattern="")
    assert {item.identity for item in dataset.items} == {""}
    assert len(dataset.notices) == 1


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(s[0-9]+", "data.person_pattern: not a regular expression (got '(s[0-9]+': missing ), unterminated subpatt"),
        ("^s[0-9]+", "data.person_pattern: has no group (got '^s[0-9]+'). Put brackets round the person: \"^(s[0-9]+)"),
    ],
)
def test_an_unusable_pattern_is_a_mistake_in_the_recipe(pattern: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        opened(tree(tmp_path, DEMO), person_pattern=pattern)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("names", "split", "message"),
    [
        (None, "val", "{root}: no such folder. Run `metricface data demo` for the demo faces, or set data.root."),
        (["test/male/1.jpg"], "val", "{root}: no split 'val' (folders there: test). The layout is <root>/<split>/<cla"),
        (["val/1.jpg"], "val", "{root}/val: photos lie in the split itself, not in one folder per class. The layout"),
        (["val/male/1.txt", "val/female/1.txt"], "val", "{root}/val: none of 2 folders holds a photo. The layout"),
        (["val/.keep"], "val", "{root}/val: the split is empty. The layout is <root>/<split>/<class>/<photo>.jpg."),
        (
            ["val/male/1.jpg", "val/Female/1.jpg"],
            "val",
            "{root}/val: no folder for 'female' of data.classes (folders there: Female, male). Did you mean "
            '"Female"? Every split needs photos of every class.',
        ),
        (
            ["val/male/1.jpg"],
            "val",
            "{root}/val: no folder for 'female' of data.classes (folders there: male). Every split needs photos of",
        ),
        (
            ["val/male/1.jpg", "val/female/1.txt"],
            "val",
            "{root}/val: no photo of 'female'. Every split needs photos of every class.",
        ),
        (
            ["val/male/1.jpg", "val/female/1.jpg", "val/child/1.jpg"],
            "val",
            "{root}/val: 'child' is not in data.classes (got 'male', 'female'). Add to data.classes what all splits "
            "hold, and move the rest out of {root}/val.",
        ),
        (
            ["val/male/1.jpg", "val/female/1.jpg", *(f"val/p{number}/1.jpg" for number in range(9))],
            "val",
            "{root}/val: 'p0', 'p1', 'p2', 'p3', 'p4' and 4 more are not in data.classes (got 'male', 'female').",
        ),
    ],
)
def test_refusals_name_the_way_out(names: list[str] | None, split: str, message: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    if names is not None:
        tree(root, names)
    with pytest.raises(DataError) as caught:
        opened(root, split)
    assert str(caught.value).startswith(message.format(root=root))
    assert "\n" not in str(caught.value)


def test_a_class_in_val_alone_is_refused_whether_named_or_not(tmp_path: Path) -> None:
    tree(tmp_path, [f"{split}/{name}/1.jpg" for split in ("train", "val") for name in CLASSES])
    tree(tmp_path, ["val/child/1.jpg"])
    with pytest.raises(DataError, match=r"val: 'child' is not in data\.classes"):
        opened(tmp_path)
    with pytest.raises(DataError, match=r"train: no folder for 'child' of data\.classes"):
        opened(tmp_path, "train", (*CLASSES, "child"))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("male",), "data.classes: must be two or more (got 1). Name each once, in label order, for instance"),
        (("male", "female", "male"), "data.classes: 'male' is there twice. Name each once, in label order, for inst"),
        (("male", ""), 'data.classes: one has no name. Name each once, in label order, for instance ["female", "male'),
    ],
)
def test_unusable_classes_are_a_mistake_in_the_recipe(classes: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        opened(tree(tmp_path, ["val/male/1.jpg"]), classes=classes)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("table", [{}, {"classes": ["one"]}, {"classes": "male"}])
def test_a_recipe_must_name_two_classes(table: dict[str, object]) -> None:
    model = arguments_model(ClassFolder, KINDS["dataset"])
    with pytest.raises(ValidationError):
        validated(model, table)
    assert validated(model, json.loads('{"classes": ["a", "b"]}')) == {"classes": ("a", "b"), "person_pattern": None}
