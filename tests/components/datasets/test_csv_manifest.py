from __future__ import annotations

import csv
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.build.preflight import check_people_apart
from metricface.components.datasets.csv_manifest import CsvManifest
from metricface.components.datasets.identity_folder import IdentityFolder
from metricface.contracts import KINDS, HasOtherSplits
from metricface.data.images import write_image
from metricface.errors import DataError, RecipeError
from metricface.recipe.signature import arguments_model, validated

GENDERS = ("female", "male")


def manifest(root: Path, *rows: str, header: str = "path,split,identity,condition,source", photos: bool = True) -> Path:
    """Write root/m.csv and, unless told not to, an empty file for the first value of every row that names one."""
    file = root / "m.csv"
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")
    for row in rows if photos else ():
        name = row.split(",")[0]
        if name and ".." not in name and not name.startswith("/"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
    return file


def opened(root: Path, file: Path, split: str = "val", classes: tuple[str, ...] = ()) -> CsvManifest:
    return CsvManifest(root=root, split=split, manifest=file, classes=classes)


def refusal(root: Path, file: Path, split: str = "val", classes: tuple[str, ...] = ()) -> str:
    with pytest.raises(DataError) as caught:
        opened(root, file, split, classes)
    return str(caught.value)


def test_people_conditions_and_sources(tmp_path: Path) -> None:
    rows = ["z/1.jpg,val,bob", "x.png,train,eve,,", "a/1.jpg,val,ann,clean,a/1.jpg", "d/2.jpg,val,ann,Foggy,./a//1.jpg"]
    dataset = opened(tmp_path, manifest(tmp_path, *rows, "e.JPG,val,ann,rainy,"))
    assert dataset.label_names == ("ann", "bob")
    assert [(i.path, i.label, i.condition, i.source, i.identity) for i in dataset.items] == [
        (tmp_path / "z/1.jpg", 1, "clean", "z/1.jpg", "bob"),
        (tmp_path / "a/1.jpg", 0, "clean", "a/1.jpg", "ann"),
        (tmp_path / "d/2.jpg", 0, "foggy", "a/1.jpg", "ann"),
        (tmp_path / "e.JPG", 0, "rainy", "", "ann"),
    ]
    assert all(item.attributes == {} and item.severity == 0 for item in dataset.items)
    assert dataset.notices == (
        f"{tmp_path / 'm.csv'}: 1 distorted photo of val has no source: its clean photo is unknown",
    )
    assert len(dataset) == 4


def test_labels_roles_and_groups(tmp_path: Path) -> None:
    rows = ["1.jpg,val,male,,p1,gallery,old", "2.jpg,val,female,x,,probe,", "3.jpg,val,male,,,,"]
    file = manifest(tmp_path, *rows, header="path,split,label,note,identity,role,group")
    dataset = opened(tmp_path, file, classes=GENDERS)
    assert [(item.label, item.identity, item.attributes) for item in dataset.items] == [
        (1, "p1", {"role": "gallery", "group": "old"}),
        (0, "", {"role": "probe", "group": ""}),
        (1, "", {"role": "", "group": ""}),
    ]
    assert dataset.label_names == GENDERS
    assert dataset.notices == (
        "classes: female = 0, male = 1 (positive)",
        f"{file}: columns that are not read: note.",
    )


def test_a_misspelt_column_is_told(tmp_path: Path) -> None:
    file = manifest(tmp_path, "1.jpg,val,ann,foggy", header="path,split,identity,conditon")
    assert opened(tmp_path, file).notices == (
        f'{file}: columns that are not read: conditon. Did you mean "condition"?',
    )


def test_the_tree_of_identity_folder_gives_the_same_items(tmp_path: Path) -> None:
    rows = ["val/ann/1.jpg,val,ann,,", "val/ann/2.jpg,val,ann,,", "val/ann/distortion/1_noisy.jpg,val,ann,noisy,"]
    rows[2] += "val/ann/1.jpg"
    dataset, tree = opened(tmp_path, manifest(tmp_path, *rows)), IdentityFolder(root=tmp_path, split="val")
    assert dataset.label_names == tree.label_names
    for own, other in zip(dataset.items, tree.items, strict=True):
        assert (own.path, own.label, own.condition, own.identity) == (
            other.path,
            other.label,
            other.condition,
            other.identity,
        )
    for items in (dataset.items, tree.items):
        sources = [item.source for item in items]
        assert [sources.index(source) for source in sources] == [0, 1, 0]


def test_rows_of_splits_that_nobody_reads_are_told(tmp_path: Path) -> None:
    rows = ["1.jpg,train,ann", "2.jpg,val,bob", "3.jpg,trian,eve", "4.jpg,trian,eve", "5.jpg,test,jo"]
    dataset = opened(tmp_path, manifest(tmp_path, *rows, header="path,split,identity"))
    assert isinstance(dataset, HasOtherSplits)
    assert dataset.other_splits(["train", "val"]) == (
        f'{tmp_path}/m.csv: rows of splits that are not read: trian (2), test (1). Did you mean "train"?'
    )
    assert dataset.other_splits(["train", "val", "test", "trian"]) == ""


def test_it_reads_rgb(tmp_path: Path) -> None:
    file = manifest(tmp_path, "1.png,val,ann")
    write_image(tmp_path / "1.png", np.full((8, 8, 3), 99, np.uint8) * np.array([2, 1, 0], np.uint8))
    assert opened(tmp_path, file).read(0)[0, 0].tolist() == [198, 99, 0]


def test_people_in_two_splits_are_refused(tmp_path: Path) -> None:
    file = manifest(tmp_path, "1.jpg,val,ann", "2.jpg,train,ann", "3.jpg,train,bob")
    with pytest.raises(DataError, match=r"^data: 1 person is in both train and val \(ann\)"):
        check_people_apart({split: opened(tmp_path, file, split) for split in ("train", "val")})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("9.jpg,val,", "identity is empty. Fill it in, or take the row out."),
        ("9.jpg,,ann", "split is empty. Fill it in, or take the row out."),
        (",val,ann", "path is empty. Fill it in, or take the row out."),
        ("9.jpg, val,ann", "split has blanks around it (got ' val'). Take them out."),
        ("9.jpg,val,ann ", "identity has blanks around it (got 'ann '). Take them out."),
        ("9.txt,val,ann", "path is no photo by its suffix (got '9.txt'). Suffixes: .bmp, .jpeg, .jpg, .pgm, .png, "),
        ("1.jpg,val,bob", "'1.jpg' is listed already, in line 2."),
        (".//1.jpg,train,bob", "'1.jpg' is listed already, in line 2."),
        ("9.jpg,val,ann,foggy,7.jpg", "source '7.jpg' is no path of this file. List the clean photo, or leave source"),
        ("9.jpg,val,ann,foggy,2.jpg", "source '2.jpg' is itself noisy (line 3). Name the clean photo's path."),
        ("9.jpg,train,ann,foggy,1.jpg", "source '1.jpg' has another split: 'val' in line 2 (here 'train')."),
        ("9.jpg,val,bob,foggy,1.jpg", "source '1.jpg' has another identity: 'ann' in line 2 (here 'bob')."),
        ("9.jpg,val,ann,,1.jpg", "source '1.jpg' is of a clean photo, which is its own. Leave it empty, or name the"),
        ("9.jpg,val,ann,foggy,9.jpg", "a distorted photo cannot be its own source. Name the clean photo's path."),
        ("9.jpg,val,ann,,,x", "has more values than the 5 columns of line 1. Put a value with a comma in it in double"),
    ],
)
def test_a_row_that_will_not_do_is_named(row: str, message: str, tmp_path: Path) -> None:
    file = manifest(tmp_path, "1.jpg,val,ann", "2.jpg,val,ann,noisy,1.jpg", row)
    assert refusal(tmp_path, file).startswith(f"{file}:4: {message}")
    assert "\n" not in refusal(tmp_path, file)


@pytest.mark.parametrize(
    "path",
    ["/etc/x.jpg", "../x.jpg", "a/../../x.jpg", "..\\x.jpg", "a\\x.jpg", "C:/x.jpg", "C:x.jpg", "\\\\s\\d\\x.jpg"],
)
def test_a_path_cannot_leave_the_root(path: str, tmp_path: Path) -> None:
    file = manifest(tmp_path, f"{path},val,ann", photos=False)
    assert refusal(tmp_path, file) == (
        f"{file}:2: path must stay in data.root: relative, with / between folders and no .. (got {path!r})."
    )


def test_labels_and_roles_are_checked(tmp_path: Path) -> None:
    header = "path,split,label,role"
    file = manifest(tmp_path, "1.jpg,val,Male,probe", "2.jpg,val,,query", header=header)
    assert refusal(tmp_path, file, classes=GENDERS).splitlines() == [
        f"{file}:2: label 'Male' is none of data.classes. Did you mean \"male\"? Classes: female, male.",
        f"{file}:3: label is empty. Fill it in, or take the row out.",
        f"{file}:3: role must be gallery, probe or empty (got 'query').",
    ]


def test_the_first_of_each_kind_is_told_with_the_number_of_the_others(tmp_path: Path) -> None:
    rows = ["1.jpg,val,ann", "2.jpg,val,", "3.txt,val,ann", "4.jpg,val,", "1.jpg,val,ann", "5.jpg,val,"]
    file = manifest(tmp_path, *rows)
    assert [line.split(" Suffixes")[0] for line in refusal(tmp_path, file).splitlines()] == [
        f"{file}:3: identity is empty. Fill it in, or take the row out. (2 more like it)",
        f"{file}:4: path is no photo by its suffix (got '3.txt').",
        f"{file}:6: '1.jpg' is listed already, in line 2.",
    ]


def test_missing_photos_are_named_in_the_split_that_is_read(tmp_path: Path) -> None:
    file = manifest(tmp_path, "1.jpg,val,ann", "2.jpg,train,bob", "3.jpg,train,bob")
    for number in (2, 3):
        (tmp_path / f"{number}.jpg").unlink()
    assert len(opened(tmp_path, file)) == 1
    assert refusal(tmp_path, file, "train") == (
        f"{file}:3: no such photo (looked for {tmp_path / '2.jpg'}). Is data.root right? (1 more like it)"
    )


def test_a_class_without_a_photo_is_refused(tmp_path: Path) -> None:
    rows = ["1.jpg,val,male", "2.jpg,train,male", "3.jpg,train,female"]
    file = manifest(tmp_path, *rows, header="path,split,label")
    assert refusal(tmp_path, file, classes=GENDERS) == (
        f"{file}: no photo of 'female' in split 'val'. Every split needs photos of every class of data.classes."
    )


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (
            "vall",
            "no row of split 'vall' (splits there: val, train). Did you mean \"val\"? A recipe needs train and val.",
        ),
        ("", "no row of split '' (splits there: val, train). No folder is a split here: leave --data out to evaluate"),
    ],
)
def test_an_empty_split_is_refused(split: str, message: str, tmp_path: Path) -> None:
    file = manifest(tmp_path, "1.jpg,val,ann", "2.jpg,train,bob")
    assert refusal(tmp_path, file, split).startswith(f"{file}: {message}")


def test_who_or_what_must_be_there(tmp_path: Path) -> None:
    file = manifest(tmp_path, "1.jpg,val", header="path,split")
    assert refusal(tmp_path, file) == (
        f"{file}:1: no column 'identity' or 'label' (got path, split). "
        "The columns are path, split, identity or label, and as you like condition, source, role, group."
    )
    assert refusal(tmp_path, file, classes=GENDERS).startswith(f"{file}:1: no column 'label' (got path, split). The")


@pytest.mark.parametrize("header", ["path,split,label", "path,split,label,identity"])
def test_the_order_of_labels_is_not_guessed(header: str, tmp_path: Path) -> None:
    file = manifest(tmp_path, "1.jpg,val,male", "2.jpg,val,female", header=header)
    with pytest.raises(RecipeError) as caught:
        opened(tmp_path, file)
    assert str(caught.value) == (
        f"data.classes: is missing, and {file} has a column 'label' (labels there: 'male', 'female'). "
        "Name them in label order; to tell people apart instead, rename the column."
    )


def test_unusable_classes_and_a_missing_root_are_refused(tmp_path: Path) -> None:
    file = manifest(tmp_path, "1.jpg,val,male", header="path,split,label")
    with pytest.raises(RecipeError, match=r"^data\.classes: must be two or more \(got 1\)\."):
        opened(tmp_path, file, classes=("male",))
    assert refusal(tmp_path / "gone", file).startswith(f"{tmp_path / 'gone'}: no such folder. Run `metricface data")


def test_a_recipe_names_the_file_and_the_classes() -> None:
    model = arguments_model(CsvManifest, KINDS["dataset"])
    assert validated(model, {"manifest": "m.csv"}) == {"manifest": Path("m.csv"), "classes": ()}


_LETTERS = st.characters(exclude_categories=("C", "Z"), exclude_characters='/\\:"')
NAMES = st.text(_LETTERS, min_size=1, max_size=5).map(lambda name: unicodedata.normalize("NFC", name))
CONDITIONS = st.sampled_from(["", "clean", "foggy", 'Odd, "name"'])


@settings(max_examples=50, deadline=None)
@given(
    people=st.dictionaries(NAMES, st.lists(CONDITIONS, min_size=1, max_size=4), min_size=1, max_size=4),
    splits=st.lists(st.sampled_from(["train", "val"]), min_size=4, max_size=4),
    order=st.randoms(use_true_random=False),
)
def test_any_table_of_valid_rows_gives_exactly_those_items(people, splits, order) -> None:
    rows = []
    for place, (person, conditions) in enumerate(people.items()):
        clean = next((number for number, condition in enumerate(conditions) if condition in ("", "clean")), None)
        for number, condition in enumerate(conditions):
            distorted = condition not in ("", "clean")
            source = f"{place}/{clean}, x.jpg" if distorted and clean is not None else ""
            rows.append((f"{place}/{number}, x.jpg", splits[place], person, condition, source))
    order.shuffle(rows)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path, *_ in rows:
            (root / path).parent.mkdir(exist_ok=True)
            (root / path).touch()
        with (root / "m.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("path", "split", "identity", "condition", "source"), *rows])
        for split in dict.fromkeys(row[1] for row in rows):
            dataset = opened(root, root / "m.csv", split)
            assert [
                (item.path.relative_to(root).as_posix(), dataset.label_names[item.label], item.condition, item.source)
                for item in dataset.items
            ] == [
                (path, person, condition.lower() or "clean", source if condition.lower() not in ("", "clean") else path)
                for path, own, person, condition, source in rows
                if own == split
            ]


def test_both_spellings_of_an_accent_are_one_person(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "Zo\u00eb")
    file = manifest(tmp_path, "a.png,val,Zo\u00eb,clean,", f"b.png,val,{apart},clean,")
    assert opened(tmp_path, file).label_names == ("Zo\u00eb",)
