"""What `recognise` refuses; what it recognises is in tests/cli/test_cli_init.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.layouts import empty_photos, write_rows

from metricface.cli.scaffold.layout import recognise
from metricface.errors import DataError, MetricFaceError, UsageError, counted

LOOKED_FOR = (
    "Looked for train/ and val/ with a folder per person (distortion/ in it) or per class, for Task_A/ and Task_B/ "
    "that hold such, and for a CSV manifest with the columns path, split and identity or label."
)
A = ["train/female/1.jpg", "train/male/1.jpg", "val/female/1.jpg", "val/male/1.jpg"]
B = ["train/ann/1.jpg", "train/bob/1.jpg", "val/eve/1.jpg", "val/joe/1.jpg"]


def refusal(data: Path, task: str | None = None) -> MetricFaceError:
    with pytest.raises(MetricFaceError) as caught:
        recognise(data, task)
    return caught.value


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "not recognised (folders there: none; photos: 0). " + LOOKED_FOR),
        (["1.jpg", "2.JPG", "x.txt"], "not recognised (folders there: none; photos: 2). " + LOOKED_FOR),
        (["train/ann/1.jpg"], f"not recognised (folders there: train; photos: 0). {LOOKED_FOR} There is no val/."),
        (["a/b/c/1.jpg", "d/x.txt"], "not recognised (folders there: a, d; photos: 0). " + LOOKED_FOR),
        (
            [f"Comys/Task_A/{name}" for name in A],
            f"not recognised (folders there: Comys; photos: 0). {LOOKED_FOR} Perhaps: --data {{root}}/Comys",
        ),
        (
            ["ann/1.jpg", "bob/1.jpg", "bob/distortion/1_noisy.jpg"],
            "2 folders of photos (ann, bob), but no train and val. If they are people, make a Task B tree: metricface "
            "data distort {root} DST. If they are classes, lay them out as train/<class> and val/<class>.",
        ),
    ],
)
def test_what_is_no_layout_is_told_with_what_is_there(names: list[str], message: str, tmp_path: Path) -> None:
    error = refusal(empty_photos(tmp_path, names))
    assert isinstance(error, DataError)
    assert str(error) == f"{tmp_path}: {message.format(root=tmp_path)}"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert str(refusal(tmp_path / "gone")) == (
        f"{tmp_path / 'gone'}: no such folder. Run `metricface data demo` for the demo faces."
    )


def test_two_tasks_are_not_chosen_from(tmp_path: Path) -> None:
    empty_photos(tmp_path, [*(f"Task_A/{name}" for name in A), *(f"Task_B/{name}" for name in B)])
    error = refusal(tmp_path)
    assert isinstance(error, UsageError)
    assert str(error) == (
        f"{tmp_path}: holds Task_A (which class) and Task_B (who is it). Say which: --task a or --task b"
    )
    assert recognise(tmp_path, "a").root == tmp_path / "Task_A"
    assert recognise(tmp_path, "b").root == tmp_path / "Task_B"


def test_the_folder_of_a_task_says_which_it_is(tmp_path: Path) -> None:
    empty_photos(tmp_path, [f"Task_A/{split}/c{number}/1.jpg" for split in ("train", "val") for number in range(12)])
    assert recognise(tmp_path).task == "a"
    assert str(refusal(tmp_path, "b")) == (
        f"{tmp_path}: holds no Task_B (got Task_A). Leave --task out, or name its folder."
    )


def test_distorted_photos_say_who_is_it(tmp_path: Path) -> None:
    layout = recognise(empty_photos(tmp_path, [*A, "val/male/distorted/1_noisy.jpg"]))
    assert (layout.task, layout.dataset) == ("b", "identity-folder")


def test_two_folders_in_both_splits_are_classes(tmp_path: Path) -> None:
    layout = recognise(empty_photos(tmp_path, [*A, "train/female/more/1.jpg", "val/notes/x.txt"]))
    assert (layout.task, layout.dataset, layout.classes) == ("a", "class-folder", ("female", "male"))


def test_folders_of_one_split_alone_are_people(tmp_path: Path) -> None:
    assert recognise(empty_photos(tmp_path, B)).task == "b"


@pytest.mark.parametrize(
    ("names", "counts"),
    [
        (["train/a/1.jpg", "train/b/1.jpg", "train/c/1.jpg", "val/a/1.jpg", "val/b/1.jpg", "val/c/1.jpg"], (3, 3, 3)),
        (["train/a/1.jpg", "train/b/1.jpg", "val/b/1.jpg"], (2, 1, 1)),
        (["train/a/1.jpg", "val/a/1.jpg"], (1, 1, 1)),
    ],
)
def test_in_doubt_the_user_is_asked(names: list[str], counts: tuple[int, int, int], tmp_path: Path) -> None:
    error = refusal(empty_photos(tmp_path, names))
    assert isinstance(error, UsageError)
    assert str(error) == (
        f"{tmp_path}: {counted(counts[0], 'folder', 'folders')} in train, {counts[1]} in val, {counts[2]} "
        "in both, no distortion/ in any: "
        "they may be classes or people. Say which: --task a (classes) or --task b (people, each in one split only)"
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train/a/1.jpg", "val/a/1.jpg"], "{root}/train: classes must be two or more (got a). Add the others."),
        ([*A, "val/child/1.jpg"], "{root}/val: 'child' is not in data.classes (got 'female', 'male')."),
        (A[:3], "{root}/val: no folder for 'male' of data.classes (folders there: female)."),
    ],
)
def test_classes_are_refused_by_their_dataset(names: list[str], message: str, tmp_path: Path) -> None:
    error = refusal(empty_photos(tmp_path, names), "a")
    assert isinstance(error, DataError)
    assert str(error).startswith(message.format(root=tmp_path))


def test_several_manifests_are_not_chosen_from(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        write_rows(tmp_path / name, [("path", "split", "identity")])
    assert str(refusal(tmp_path)) == f"{tmp_path}: holds 2 manifests. Take one: --data {tmp_path / 'a.csv'}"


def test_other_tables_are_no_manifests_and_a_broken_one_is_told_by_line(tmp_path: Path) -> None:
    write_rows(tmp_path / "pairs.csv", [("fold", "name"), ("1", "ann")])
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\0")
    file = write_rows(tmp_path / "mine.csv", [("path", "split", "identity"), ("1.jpg", "train", "ann", "x")])
    assert str(refusal(tmp_path)).startswith(f"{file}:2: has more values than the 3 columns of line 1.")


def test_a_manifest_beside_a_tree_is_told(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "mine.csv", [("path", "split", "label")])
    layout = recognise(empty_photos(tmp_path, A))
    assert layout.dataset == "class-folder"
    assert layout.remarks == (f"{file}: a manifest lies there too; --data {file} takes it instead",)


def test_a_manifest_decides_the_task(tmp_path: Path) -> None:
    empty_photos(tmp_path, ["1.jpg", "2.jpg"])
    people = write_rows(
        tmp_path / "b.csv", [("path", "split", "identity"), ("1.jpg", "train", "p"), ("2.jpg", "val", "q")]
    )
    assert (
        str(refusal(people, "a"))
        == f"--task: {people} has no column label (got a). Leave --task out, or change the column."
    )
    labels = write_rows(
        tmp_path / "a.csv", [("path", "split", "label"), ("1.jpg", "train", "x"), ("2.jpg", "val", "x")]
    )
    assert str(refusal(labels, "b")) == (
        f"--task: {labels} has a column label, so it is for Task A (got b). Leave --task out, or change the column."
    )
    assert str(refusal(labels)) == f"{labels}: classes must be two or more (got x). Add the others."
    assert recognise(people).task == "b"


def test_the_photos_of_a_manifest_lie_beside_it_or_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty_photos(tmp_path, ["photos/1.jpg", "photos/2.jpg", "lists/x.txt"])
    rows = [("path", "split", "identity"), ("photos/1.jpg", "train", "p"), ("photos/2.jpg", "val", "q")]
    beside, apart = write_rows(tmp_path / "m.csv", rows), write_rows(tmp_path / "lists/m.csv", rows)
    assert recognise(beside).root == tmp_path
    assert str(refusal(apart)) == (
        f"{apart}:2: no such photo (looked for {tmp_path / 'lists/photos/1.jpg'}). Is data.root right?"
    )
    monkeypatch.chdir(tmp_path)
    assert recognise(apart).root == Path()
