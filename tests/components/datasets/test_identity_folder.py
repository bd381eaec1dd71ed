from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricface.components.datasets.identity_folder import IdentityFolder, _match
from metricface.data.images import write_image
from metricface.errors import DataError

PIXELS = np.full((8, 8, 3), 99, np.uint8)


def tree(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def shown(dataset: IdentityFolder) -> dict[str, tuple[str, str]]:
    return {item.path.name: (item.condition, item.source) for item in dataset.items}


def test_items_know_person_condition_and_source(tmp_path: Path) -> None:
    names = ["val/bob/x.png", "val/ann/one_1.jpg", "val/ann/one.JPG", "val/ann/distortion/one_1_blurred.jpg"]
    names += ["val/ann/distorted/one_Low-Light.png", "val/ann/distortion/one_very_foggy.jpg", "train/eve/x.png"]
    dataset = IdentityFolder(root=tree(tmp_path, names), split="val")
    assert dataset.label_names == ("ann", "bob")
    assert dataset.notices == ()
    assert shown(dataset) == {
        "one.JPG": ("clean", "ann/one"),
        "one_1.jpg": ("clean", "ann/one_1"),
        "one_Low-Light.png": ("low-light", "ann/one"),
        "one_1_blurred.jpg": ("blurred", "ann/one_1"),
        "one_very_foggy.jpg": ("very_foggy", "ann/one"),
        "x.png": ("clean", "bob/x"),
    }
    assert [item.label for item in dataset.items] == [0, 0, 0, 0, 0, 1]
    assert [item.identity for item in dataset.items] == ["ann"] * 5 + ["bob"]
    assert len(dataset) == 6


def test_a_split_folder_can_be_the_root_itself(tmp_path: Path) -> None:
    tree(tmp_path, ["val/ann/1.jpg", "val/ann/distortion/1_noisy.jpg"])
    inside, direct = IdentityFolder(root=tmp_path, split="val"), IdentityFolder(root=tmp_path / "val", split="")
    assert list(inside.items) == list(direct.items)


def test_it_reads_rgb(tmp_path: Path) -> None:
    (tmp_path / "val/ann").mkdir(parents=True)
    write_image(tmp_path / "val/ann/1.png", PIXELS * np.array([2, 1, 0], np.uint8))
    assert IdentityFolder(root=tmp_path, split="val").read(0)[0, 0].tolist() == [198, 99, 0]


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    names = ["val/ann/1.jpg", "val/ann/1.png", "val/ann/notes.txt", "val/ann/more/2.jpg", "val/nobody/notes.txt"]
    names += ["val/loose.jpg", "val/README.md"]
    names += [f"val/ann/distortion/{name}.jpg" for name in ("1_noisy", "7_foggy", "nothing", "1_", "1_clean")]
    hidden = ["val/.DS_Store", "val/ann/.DS_Store", "val/ann/Thumbs.db", "val/.cache/1.jpg", "val/ann/._1.jpg"]
    tree(tmp_path, names + hidden)
    (tmp_path / "val/ann/lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "val/lost").symlink_to(tmp_path / "nowhere")
    dataset = IdentityFolder(root=tmp_path, split="val")
    assert shown(dataset) == {
        "1.jpg": ("clean", "ann/1"),
        "1_noisy.jpg": ("noisy", "ann/1"),
        "7_foggy.jpg": ("foggy", ""),
    }
    assert [notice.removeprefix(f"{tmp_path / 'val'}: ") for notice in dataset.notices] == [
        "1 photo lies in the split itself, in no person's folder, and is left out",
        "1 person's folder holds no photo and is left out",
        "1 folder inside a person's folder is not read; only distortion/ and distorted/ are",
        "1 photo shares name and person with a photo of another suffix and is left out. "
        "Rename it if it is another photo",
        "3 distorted photos are not named <photo>_<condition> and are left out",
        "1 distorted photo has no clean photo of its name: its source is unknown",
        "left out as no photos: 2 .txt, 1 .md, 1 with no file behind the name, 1 without a suffix",
    ]


def test_names_that_differ_in_case_are_different(tmp_path: Path) -> None:
    dataset = IdentityFolder(root=tree(tmp_path, ["val/Ann/A.jpg", "val/Ann/a.jpg", "val/ann/a.jpg"]), split="val")
    assert [item.source for item in dataset.items] == ["Ann/A", "Ann/a", "ann/a"]


@pytest.mark.parametrize(
    ("names", "split", "message"),
    [
        (None, "val", "{root}: no such folder. Run `metricface data demo` for the demo faces, or set data.root."),
        (["train/ann/1.jpg", "test/ann/1.jpg"], "val", "{root}: no split 'val' (folders there: test, train). The"),
        (["val/1.jpg"], "val", "{root}/val: photos lie in the split itself, not in one folder per person. The layout"),
        (["val/ann/1.txt", "val/bob/1.txt"], "val", "{root}/val: none of 2 folders holds a photo. The layout is"),
        (["val/.keep"], "val", "{root}/val: the split is empty. The layout is <root>/<split>/<person>/<photo>.jpg"),
    ],
)
def test_refusals_name_the_way_out(names: list[str] | None, split: str, message: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    if names is not None:
        tree(root, names)
    with pytest.raises(DataError) as caught:
        IdentityFolder(root=root, split=split)
    assert str(caught.value).startswith(message.format(root=root))
    assert "\n" not in str(caught.value)


def test_a_file_is_no_root(tmp_path: Path) -> None:
    tree(tmp_path, ["data"])
    with pytest.raises(DataError, match="data: not a folder"):
        IdentityFolder(root=tmp_path / "data", split="val")


NAMES = st.text("ab_1", min_size=1, max_size=6)


@given(stems=st.sets(NAMES, max_size=5), name=NAMES)
def test_the_longest_clean_name_wins(stems: set[str], name: str) -> None:
    fitting = [stem for stem in stems if name.startswith(stem + "_") and len(name) > len(stem) + 1]
    found, condition = _match(name, dict.fromkeys(stems, ""))
    if fitting:
        assert found == max(fitting, key=len)
        assert f"{found}_{condition}" == name
    else:
        assert [found, condition] == (name.rsplit("_", 1) if "_" in name else [name, ""])
