"""What `test_distort.py` does not see: severities, interruptions in the thread pool, folders that cannot be written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.task_b_tree import photo

from metricface.data.images import read_image, write_image
from metricface.data.making.beforehand import listed
from metricface.data.making.choice import Photo
from metricface.data.making.tree import write_tree
from metricface.errors import DataError


class Shade:
    """Paint a photo in one grey, which tells the severity."""

    def __call__(self, image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
        return np.full_like(image, 40 * severity)


def photos(folder: Path, count: int) -> list[Photo]:
    """Write so many photos of one person, to train on."""
    folder.mkdir()
    for number in range(count):
        write_image(folder / f"{number}.png", photo(0, number))
    return [Photo(path, "train", "ann", path.name) for path in sorted(folder.iterdir())]


def test_every_severity_occurs(tmp_path: Path) -> None:
    write_tree(tmp_path / "tree", photos(tmp_path / "ann", 40), {"foggy": Shade()}, seed=0)
    greys = [read_image(path).mean() for path in (tmp_path / "tree").rglob("distortion/*.jpg")]
    assert {round(grey / 40) for grey in greys} == {1, 2, 3, 4, 5}


def test_an_interruption_does_not_wait_for_the_photos_that_are_left(tmp_path: Path) -> None:
    source = photos(tmp_path / "ann", 60)

    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tree(tmp_path / "tree", source, {"foggy": Shade()}, seed=0, progress=interrupt)
    assert len(list((tmp_path / "tree" / "train" / "ann").glob("*.png"))) < 40


def test_a_photo_that_a_distortion_refuses_is_named(tmp_path: Path) -> None:
    class Refuses:
        def __call__(self, image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
            raise DataError("image: too small")

    with pytest.raises(DataError, match=r"1 of 1 photos cannot be used.*ann/0\.png: image: too small"):
        write_tree(tmp_path / "tree", photos(tmp_path / "ann", 1), {"foggy": Refuses()}, seed=0)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"tree: cannot be written \(.*/file is no folder\)\. Name another folder\."):
        write_tree(tmp_path / "file" / "tree", photos(tmp_path / "ann", 1), {}, seed=0)


def test_long_lists_are_cut() -> None:
    assert listed(["a", "b"]) == "a; b"
    assert listed(list("abcdefg")) == "a; b; c; d; e; and 2 more"


def test_a_name_that_leaves_no_room_for_the_condition_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    fits, long = "a" * 236 + ".png", "b" * 245 + ".png"
    for name in (fits, long):
        write_image(tmp_path / "x.png", photo(0, 1))
        (tmp_path / "x.png").rename(tmp_path / "ann" / name)
    source = [Photo(tmp_path / "ann" / name, "train", "ann", name) for name in (fits, long)]
    with pytest.raises(DataError) as caught:
        write_tree(tmp_path / "tree", source, {"foggy": Shade(), "low-light": Shade()}, seed=0)
    assert str(caught.value) == (
        f"{tmp_path}/ann/{long}: its name is too long: with _low-light.jpg it has 259 bytes, and a file name has at "
        "most 255. Give the photo a shorter name."
    )
    assert not (tmp_path / "tree").exists()
    made = write_tree(tmp_path / "tree", source[:1], {"foggy": Shade(), "low-light": Shade()}, seed=0)
    assert made.photos == {"train": 1}
    assert write_tree(tmp_path / "plain", source, {}, seed=0).photos == {"train": 2}
