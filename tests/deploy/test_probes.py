from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest

from metricface.components.datasets.identity_folder import IdentityFolder
from metricface.contracts import Dataset
from metricface.deploy.probes import find_probes
from metricface.errors import DataError

GALLERY = ("anna", "anna_maria", "ben", "carl")


def tree(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def people(root: Path) -> IdentityFolder:
    return IdentityFolder(root=root, split="")


def probes(*named: Path) -> list[Dataset]:
    return find_probes(named, GALLERY, people)


def shown(parts: Sequence[Dataset]) -> dict[str, tuple[str, str]]:
    """Return file name -> (person, condition)."""
    return {item.path.name: (part.label_names[item.label], item.condition) for part in parts for item in part.items}


def test_a_folder_of_peoples_folders_is_read_as_ever(tmp_path: Path) -> None:
    tree(tmp_path, "p/ben/1.jpg", "p/ben/distortion/1_foggy.jpg", "p/eve/2.jpg")
    (part,) = probes(tmp_path / "p")
    assert isinstance(part, IdentityFolder)
    assert list(part.items) == list(people(tmp_path / "p").items)


def test_photos_by_themselves_are_of_the_person_whose_folder_they_lie_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "p/ben/1.jpg", "p/ben/2.jpg", "p/ben/distortion/1_foggy.jpg", "p/eve/3.jpg", "p/anna/4.jpg")
    assert shown(probes(tmp_path / "p" / "ben" / "1.jpg", tmp_path / "p" / "eve" / "3.jpg")) == {
        "1.jpg": ("ben", "clean"),
        "3.jpg": ("eve", "clean"),
    }
    ben = {"1.jpg": ("ben", "clean"), "2.jpg": ("ben", "clean"), "1_foggy.jpg": ("ben", "foggy")}
    assert shown(probes(tmp_path / "p" / "ben")) == ben  # one person's folder
    every = {**ben, "3.jpg": ("eve", "clean"), "4.jpg": ("anna", "clean")}
    for pattern in ("p/*", "p/**/*.jpg", "p/**"):
        assert shown(probes(tmp_path / pattern)) == every, pattern
    (part,) = probes(tmp_path / "p" / "ben" / "distortion")
    assert (shown([part]), part.notices) == ({"1_foggy.jpg": ("ben", "foggy")}, ())
    monkeypatch.chdir(tmp_path / "p" / "ben" / "distortion")
    assert shown(probes(Path("../1.jpg"), Path("1_foggy.jpg"))) == {
        "1.jpg": ("ben", "clean"),
        "1_foggy.jpg": ("ben", "foggy"),
    }


def test_in_a_flat_folder_the_beginning_of_a_name_says_who(tmp_path: Path) -> None:
    flat = tree(tmp_path / "inbox", "anna_1.jpg", "anna_maria_2.jpg", "ben_x_y.png", "anna.jpg", "eve_1.jpg", "x.heic")
    (part,) = probes(flat)
    assert shown([part]) == {
        "anna_1.jpg": ("anna", "clean"),
        "anna_maria_2.jpg": ("anna_maria", "clean"),
        "ben_x_y.png": ("ben", "clean"),
        "anna.jpg": ("inbox", "clean"),
        "eve_1.jpg": ("inbox", "clean"),
    }
    assert part.notices == (
        "left out as no photos: 1 .heic. Convert .heic to JPEG to have them read",
        f"--probe: whose they are is the beginning of the name for {flat}/anna_1.jpg (anna) and 2 more",
    )


def test_the_folder_of_a_person_of_the_gallery_is_stronger_than_a_photos_name(tmp_path: Path) -> None:
    tree(tmp_path, "carl/anna_1.jpg")
    assert shown(probes(tmp_path / "carl")) == {"anna_1.jpg": ("carl", "clean")}


def test_two_spellings_of_an_accent_are_one_person(tmp_path: Path) -> None:
    apart, together = (unicodedata.normalize(form, "José") for form in ("NFD", "NFC"))
    tree(tmp_path, f"flat/{together}_1.jpg", f"{together}/2.jpg", f"{together}/distortion/2_foggy.jpg")
    parts = find_probes([tmp_path / "flat", tmp_path / together], [apart, "ben"], people)
    assert [item.identity for part in parts for item in part.items] == [together] * 3
    assert not any("source is unknown" in notice for part in parts for notice in part.notices)


def test_a_photo_that_is_named_twice_is_one_probe(tmp_path: Path) -> None:
    tree(tmp_path, "p/ben/1.jpg", "p/ben/2.jpg", "q/ben/3.jpg")
    parts = probes(tmp_path / "p", tmp_path / "p" / "ben" / "1.jpg", tmp_path / "q" / "ben", tmp_path / "p" / ".")
    assert [[item.path.name for item in part.items] for part in parts] == [["1.jpg", "2.jpg"], ["3.jpg"]]


def test_probes_of_nobody_in_the_gallery_are_refused_with_the_nearest_and_the_rule(tmp_path: Path) -> None:
    flat = tree(tmp_path / "bens", "1.jpg", "2.jpg")
    with pytest.raises(DataError) as caught:
        probes(flat)
    assert str(caught.value) == (
        "--probe: no photo is of a person of the gallery (got bens; the gallery has anna, anna_maria, ben, carl). Did "
        'you mean "ben"? A photo is of the person whose folder it lies in (anna/1.jpg), or whose name its own begins '
        "with (anna_1.jpg): name folders or photos as the gallery does."
    )
    for missing in ("no", "*.gif"):
        with pytest.raises(DataError, match=r": no (such )?file or folder"):
            probes(tmp_path / missing)
