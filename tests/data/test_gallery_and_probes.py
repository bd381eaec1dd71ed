from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from support.task_b_tree import make_tree, photo

from metricface.components.datasets.identity_folder import IdentityFolder
from metricface.data.gallery_and_probes import GalleryAndProbes


def dataset(root: Path, split: str) -> IdentityFolder:
    return IdentityFolder(root=root, split=split)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """person_0 and person_1 in train, person_2 in val; person_1 also stands in val, with other photos."""
    root = make_tree(tmp_path, train=2, val=1, photos=2)
    (root / "val" / "person_1").mkdir()
    shutil.copy(root / "train" / "person_0" / "distortion" / "photo_0_noisy.png", root / "val" / "person_1" / "x.png")
    return root


def test_people_are_matched_by_name_and_every_photo_has_a_role(tree: Path) -> None:
    gallery, probes = dataset(tree, "train"), dataset(tree, "val")
    both = GalleryAndProbes(gallery, probes)
    assert both.label_names == ("person_0", "person_1", "person_2")
    assert len(both) == len(both.items) == len(gallery) + len(probes)
    for item, original in zip(both.items, [*gallery.items, *probes.items], strict=True):
        assert both.label_names[item.label] == original.identity
        assert (item.path, item.condition, item.source) == (original.path, original.condition, original.source)
        assert item.attributes == {"role": "gallery" if "train" in item.path.parts else "probe"}
    assert both.notices == ()


def test_photos_are_read_from_the_part_that_they_are_in(tree: Path) -> None:
    both = GalleryAndProbes(dataset(tree, "train"), dataset(tree, "val"))
    for index, item in enumerate(both.items):
        if item.condition == "clean" and item.path.stem.startswith("photo_"):
            person, number = item.path.parent.name.removeprefix("person_"), item.path.stem.removeprefix("photo_")
            assert np.array_equal(both.read(index), photo(int(person), int(number))[..., ::-1])


def test_two_spellings_of_an_accent_are_one_person(tree: Path) -> None:
    for split, form in (("train", "NFD"), ("val", "NFC")):
        (tree / split / "person_1").rename(tree / split / unicodedata.normalize(form, "José"))
    both = GalleryAndProbes(dataset(tree, "train"), dataset(tree, "val"))
    assert both.label_names == (unicodedata.normalize("NFC", "José"), "person_0", "person_2")
    of_both = {item.attributes["role"] for item in both.items if item.label == 0}
    assert of_both == {"gallery", "probe"}


def test_probes_may_come_in_several_parts(tree: Path) -> None:
    gallery, probes = dataset(tree, "train"), dataset(tree, "val")
    both, thrice = GalleryAndProbes(gallery, probes), GalleryAndProbes(gallery, probes, gallery, probes)
    assert len(thrice) == 2 * len(both)
    assert [item.attributes["role"] for item in thrice.items].count("gallery") == len(gallery)
    for index in range(len(probes)):
        last = len(thrice) - len(probes) + index
        assert thrice.items[last] == both.items[len(gallery) + index]
        assert np.array_equal(thrice.read(last), probes.read(index))


def test_a_probe_that_is_a_photo_of_the_gallery_is_told(tree: Path) -> None:
    original, copy = tree / "train" / "person_0" / "photo_1.png", tree / "val" / "person_2" / "copy.png"
    shutil.copy(original, copy)
    (tree / "val" / "person_2" / "empty.png").touch()
    (tree / "train" / "person_0" / "empty.png").touch()
    both = GalleryAndProbes(dataset(tree, "train"), dataset(tree, "val"))
    assert both.notices == (
        f"1 probe is a photo of the gallery too, byte for byte (for instance {copy} and {original}): recognising "
        "that shows little",
    )
