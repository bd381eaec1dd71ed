from __future__ import annotations

from pathlib import Path

import pytest
from support.layouts import empty_photos, write_rows

from metricface.cli.scaffold.first_recipe import first_recipe, write_new
from metricface.errors import DataError, UsageError
from metricface.recipe.load import load_recipe


def people(root: Path, train: int, val: int = 2, distorted: tuple[str, ...] = ("train", "val")) -> Path:
    names = [f"train/t{number}/1.jpg" for number in range(train)] + [f"val/v{number}/1.jpg" for number in range(val)]
    names += [name.replace("/1.jpg", "/distortion/1_noisy.jpg") for name in names if name.split("/")[0] in distorted]
    return empty_photos(root, names)


@pytest.mark.parametrize(("train", "batch"), [(2, 8), (5, 20), (16, 64), (40, 64)])
def test_a_batch_holds_no_more_people_than_there_are(train: int, batch: int, tmp_path: Path) -> None:
    write_new(tmp_path / "r.toml", first_recipe(people(tmp_path / "data", train)).text)
    recipe = load_recipe(tmp_path / "r.toml")
    assert (recipe.train.batch_size, recipe.sampler.arguments["views"]) == (batch, 4)
    assert f"{batch // 4} of {train} people x 4 views" in (tmp_path / "r.toml").read_text()


@pytest.mark.parametrize(("distorted", "probability"), [(("train", "val"), 0.2), (("val",), 0.5)])
def test_clean_photos_are_distorted_more_often_where_none_is_on_disk(
    distorted: tuple[str, ...], probability: float, tmp_path: Path
) -> None:
    write_new(tmp_path / "r.toml", first_recipe(people(tmp_path / "data", 3, distorted=distorted)).text)
    assert load_recipe(tmp_path / "r.toml").transforms[1].arguments["probability"] == probability


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"train": 3, "distorted": ("train",)},
            "identification: no photo is distorted and nobody has two clean ones (2 photos, the first is "
            "{root}/val/v0/1.jpg), so there is nothing to identify. Add photos of the same people. `metricface data",
        ),
        ({"train": 3, "val": 1}, "identification: a gallery needs two or more people with a clean photo (got 1 in 2"),
        ({"train": 1}, "{root}: train has one person (t0). Add others to tell apart."),
    ],
)
def test_people_who_cannot_be_told_apart_are_refused(arguments: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        first_recipe(people(tmp_path, **arguments))
    assert str(caught.value).startswith(message.format(root=tmp_path))


def test_clean_photos_alone_get_a_recipe_and_a_word_on_what_the_report_lacks(tmp_path: Path) -> None:
    people(tmp_path, 3, distorted=())
    empty_photos(tmp_path, ["val/v1/2.jpg"])
    assert first_recipe(tmp_path).findings[1:] == (
        "train: 3 people; 3 photos",
        "val: 2 people; 3 photos",
        "val: no photo is distorted: the report has cross-source alone, of clean photos. `metricface data distort` "
        "makes distorted photos from clean ones; with --split it keeps your split.",
    )


def test_people_in_both_splits_are_refused(tmp_path: Path) -> None:
    people(tmp_path, 3)
    empty_photos(tmp_path, ["val/t1/1.jpg"])
    with pytest.raises(DataError, match=r"^data: 1 person is in both train and val \(t1\)"):
        first_recipe(tmp_path)


def test_names_that_toml_must_escape_come_through(tmp_path: Path) -> None:
    root = tmp_path / 'it\'s "odd" \\ é $data #1'
    empty_photos(root, [f"{split}/{name}/1.jpg" for split in ("train", "val") for name in ('a"b', "c'#$")])
    write_new(tmp_path / "r.toml", first_recipe(root).text)
    recipe = load_recipe(tmp_path / "r.toml")
    assert recipe.data.root == root
    assert recipe.dataset.arguments["classes"] == ('a"b', "c'#$")
    assert recipe.run.name == "it_s_odd_data_1"


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "caf\udce9"
    try:
        people(root, 3)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    with pytest.raises(
        DataError, match=r"caf\\udce9': a name in it is not UTF-8, so no recipe can say it\. Rename it\.$"
    ):
        first_recipe(root)


def test_a_small_class_tree_gets_a_small_batch(tmp_path: Path) -> None:
    names = [f"{split}/{name}/{n}.jpg" for split in ("train", "val") for name in ("f", "m") for n in range(3)]
    write_new(tmp_path / "r.toml", first_recipe(empty_photos(tmp_path / "data", names)).text)
    assert load_recipe(tmp_path / "r.toml").train.batch_size == 6


@pytest.mark.parametrize(
    ("classes", "binary", "loss", "comment"),
    [
        (("f", "m"), True, "bce", '# one logit: the log-odds of "m"\n'),
        (("x", "y", "z"), False, "cross-entropy", "# one logit per class\n"),
    ],
)
def test_classes_get_one_correction_for_imbalance(
    classes: tuple[str, ...], binary: bool, loss: str, comment: str, tmp_path: Path
) -> None:
    names = [f"{split}/{name}/{n}.jpg" for split in ("train", "val") for name in classes for n in range(3)]
    found = first_recipe(empty_photos(tmp_path / "data", names), "a")
    write_new(tmp_path / "r.toml", found.text)
    recipe = load_recipe(tmp_path / "r.toml")
    assert (recipe.head.arguments["binary"], [part.name for part in recipe.losses]) == (binary, [loss])
    assert (recipe.sampler.name, recipe.notices) == ("class-balanced", ())
    assert {part.name for part in recipe.transforms} == {"horizontal-flip", "rotation", "colour-jitter"}
    assert [part.name for part in recipe.evaluators] == ["classification"]
    assert f"{f'binary = {str(binary).lower()}'.ljust(30)}{comment}" in found.text


def test_what_was_found_is_told(tmp_path: Path) -> None:
    rows = [("path", "split", "label", "age"), *((f"{n}.jpg", "train", "mf"[n % 2], "") for n in range(5))]
    rows += [("8.jpg", "val", "m", ""), ("9.jpg", "val", "f", "")]
    file = write_rows(tmp_path / "m.csv", rows)
    empty_photos(tmp_path, [row[0] for row in rows[1:]])
    assert first_recipe(file).findings == (
        f"{file}: a CSV manifest",
        "train: f 2, m 3; 5 photos",
        "val: f 1, m 1; 2 photos",
        "classes: f = 0, m = 1 (positive)",
        f"{file}: columns that are not read: age.",
        "the order of the classes is alphabetical: change data.classes if another is meant",
    )
    assert first_recipe(people(tmp_path / "b", 3)).findings == (
        f"{tmp_path / 'b'}: a Task B tree: a folder per person",
        "train: 3 people; 6 photos (clean 3, noisy 3)",
        "val: 2 people; 4 photos (clean 2, noisy 2)",
    )


def test_there_are_two_tasks(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--task: must be a \(classes\) or b \(people\) \(got 'c'\)\.$"):
        first_recipe(tmp_path, "c")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_new(tmp_path / "r.toml", "mine")
    with pytest.raises(
        UsageError, match=r"r\.toml: is there already and stays as it is\. Name another file: --out FILE$"
    ):
        write_new(tmp_path / "r.toml", "other")
    assert (tmp_path / "r.toml").read_text() == "mine"
    with pytest.raises(
        UsageError, match=r"r\.toml: cannot be written \(No such file or directory\)\. Name another file"
    ):
        write_new(tmp_path / "gone" / "r.toml", "other")
