from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.task_b_tree import photo

from metricface.components.datasets.identity_folder import IdentityFolder
from metricface.data.images import read_image, write_image
from metricface.data.making import tree as tree_module
from metricface.data.making.choice import Draw
from metricface.data.making.distort import distort
from metricface.data.making.tree import RECORD
from metricface.errors import DataError, UsageError


class Darker:
    """By the severity and a random amount, so that equal photos mean equal seeds."""

    def __call__(self, image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
        assert severity in (1, 2, 3, 4, 5)
        return (image * rng.uniform(0.3, 0.9) / severity).astype(np.uint8)


DISTORTIONS = {"dark": Darker(), "very-dark": Darker()}


def make_source(root: Path, people: int = 5, photos: int = 3) -> Path:
    for person in range(people):
        (root / f"p{person}").mkdir(parents=True)
        for number in range(photos):
            write_image(root / f"p{person}" / f"my_photo_{number}.jpg", photo(person, number))
    return root


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_source(tmp_path / "clean")


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def distorted(root: Path) -> dict[str, bytes]:
    """Person/file of every distorted photo, whatever the split."""
    return {name.split("/", 1)[1]: content for name, content in files(root).items() if "distortion" in name}


def test_the_tree_is_one_that_the_dataset_reads(source: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    made = distort(source, tmp_path / "b", DISTORTIONS, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 15) for done in range(1, 16)]
    assert (dict(made.folders), dict(made.photos)) == ({"train": 4, "val": 1}, {"train": 12, "val": 3})
    assert str(made) == (
        f"{tmp_path / 'b'} made: train 12 photos in 4 folders, val 3 photos in 1 folder; "
        "each photo also dark, very-dark (JPEG)"
    )
    train, val = (IdentityFolder(root=tmp_path / "b", split=split) for split in ("train", "val"))
    assert (train.notices, val.notices) == ((), ())
    assert sorted(train.label_names + val.label_names) == [f"p{number}" for number in range(5)]
    for item in train.items:
        clean = source / f"{item.source}.jpg"
        if item.condition == "clean":
            assert item.path.read_bytes() == clean.read_bytes()
        else:
            assert item.condition in DISTORTIONS
            assert read_image(item.path).shape == (40, 40, 3)
            assert read_image(item.path).mean() < read_image(clean).mean()
    assert len(train) == 12 * 3


def test_a_photos_distortion_depends_on_nothing_around_it(source: Path, tmp_path: Path) -> None:
    everything = distort(source, tmp_path / "all", DISTORTIONS) and distorted(tmp_path / "all")
    distort(source, tmp_path / "few", {"dark": Darker()}, draw=Draw(val_people=3, limit_per_person=1))
    few = distorted(tmp_path / "few")
    assert len(few) == 5
    assert all(everything[name] == content for name, content in few.items())
    assert len(set(everything.values())) == len(everything)  # each photo and condition has a draw of its own
    distort(source, tmp_path / "other", DISTORTIONS, seed=1)
    assert all(everything[name] != content for name, content in distorted(tmp_path / "other").items())


def test_twice_does_nothing_and_other_arguments_are_refused(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "b"
    assert not distort(source, target, DISTORTIONS).found
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    again = distort(source, target, DISTORTIONS)
    assert again.found
    assert str(again).startswith(f"{target} lay there already: train 12 photos")
    assert {path: path.stat().st_mtime_ns for path in target.rglob("*")} == before
    with pytest.raises(DataError) as caught:
        distort(source, target, {"dark": Darker()}, seed=3, draw=Draw(limit_per_person=1))
    assert str(caught.value) == (
        f"{target}: was made with other photos and distortions and seed. "
        "Name another folder, or delete it to make it anew."
    )


def test_an_interrupted_build_goes_on(source: Path, tmp_path: Path) -> None:
    distort(source, tmp_path / "whole", DISTORTIONS)

    def stop(done: int, _total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distort(source, tmp_path / "b", DISTORTIONS, progress=stop)
    finished = {path for path in (tmp_path / "b").rglob("*.jpg") if path.parent.name != "distortion"}
    times = {path: path.stat().st_mtime_ns for path in finished}
    assert not distort(source, tmp_path / "b", DISTORTIONS).found
    assert {path: path.stat().st_mtime_ns for path in finished} == times
    assert files(tmp_path / "b") == files(tmp_path / "whole")


def test_a_clean_copy_means_that_the_photo_is_done(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tree_module, "write_image", full)
    with pytest.raises(DataError) as caught:
        distort(source, tmp_path / "b", DISTORTIONS)
    assert str(caught.value) == f"{tmp_path / 'b'}: cannot be written (No space left on device). Run it again to go on."
    assert [path.name for path in (tmp_path / "b").rglob("*") if path.is_file()] == [RECORD]


def test_a_folder_of_others_is_left_alone(source: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(DataError) as caught:
        distort(source, tmp_path / "mine", DISTORTIONS)
    assert str(caught.value) == (
        f"{tmp_path / 'mine'}: is not empty, and nothing that this command made. Name another folder, or empty it."
    )
    assert list(files(tmp_path / "mine")) == ["letter.txt"]


@pytest.mark.parametrize("place", ["clean/b", "clean", "."])
def test_folders_inside_each_other_are_refused(place: str, source: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="SRC and DST lie in each other"):
        distort(source, tmp_path / place, DISTORTIONS)


def spoil(source: Path, count: int) -> Iterator[Path]:
    for path in sorted(source.rglob("*.jpg"))[:count]:
        path.write_bytes(path.read_bytes()[:200])
        yield path


def test_unreadable_photos_are_listed_and_refused_above_five_percent(tmp_path: Path) -> None:
    source = make_source(tmp_path / "clean", people=4, photos=10)
    (broken,) = spoil(source, 1)
    made = distort(source, tmp_path / "b", DISTORTIONS)
    assert made.unreadable == (f"{broken}: the photo is cut off. Copy or download it again.",)
    assert sum(made.photos.values()) == 39
    assert f"; 1 left out: {broken}: the photo is cut off" in str(made)
    assert distort(source, tmp_path / "b", DISTORTIONS).unreadable == made.unreadable
    list(spoil(source, 3))
    with pytest.raises(DataError, match=r"^3 of 40 photos cannot be used, more than 5%: .*my_photo_0\.jpg: the photo"):
        distort(source, tmp_path / "c", DISTORTIONS)
    assert not (tmp_path / "c").exists()  # they are looked through before anything is written


def test_one_unreadable_photo_of_a_few_is_left_out(tmp_path: Path) -> None:
    source = make_source(tmp_path / "clean", people=2, photos=2)
    list(spoil(source, 1))
    made = distort(source, tmp_path / "b", DISTORTIONS)
    assert (sum(made.photos.values()), len(made.unreadable)) == (3, 1)


def test_a_table_decides_and_goes_with_no_other_choice(source: Path, tmp_path: Path) -> None:
    table = tmp_path / "split.csv"
    table.write_text("split,person,photo\nval,p3,my_photo_1.jpg\ntrain,p1,my_photo_0.jpg\n")
    made = distort(source, tmp_path / "b", {"dark": Darker()}, split=table)
    assert dict(made.photos) == {"val": 1, "train": 1}
    assert sorted(name for name in files(tmp_path / "b") if name != RECORD) == [
        "train/p1/distortion/my_photo_0_dark.jpg",
        "train/p1/my_photo_0.jpg",
        "val/p3/distortion/my_photo_1_dark.jpg",
        "val/p3/my_photo_1.jpg",
    ]
    with pytest.raises(UsageError, match="Omit --train-people, --val-people and --limit-per-person"):
        distort(source, tmp_path / "c", DISTORTIONS, split=table, draw=Draw(val_people=1))


def test_a_negative_seed_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--seed: must be at least 0 \(got -1\)\.$"):
        distort(source, tmp_path / "b", DISTORTIONS, seed=-1)
