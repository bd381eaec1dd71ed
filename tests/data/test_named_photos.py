from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from metricface.data.named_photos import find_photos
from metricface.errors import DataError


def tree(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def found(*named: Path) -> list[str]:
    return [path.name for path in find_photos(named).photos]


def refused(named: Iterable[Path]) -> str:
    with pytest.raises(DataError) as caught:
        find_photos(list(named))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_gives_what_is_in_it_and_below_by_name(tmp_path: Path) -> None:
    tree(tmp_path, "b/2.JPG", "b/1.png", "a.jpg", "b/c/0.tiff", "c.webp")
    photos = [str(path.relative_to(tmp_path)) for path in find_photos([tmp_path]).photos]
    assert photos == ["a.jpg", "b/1.png", "b/2.JPG", "b/c/0.tiff", "c.webp"]


def test_names_keep_their_order_and_a_file_is_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a/1.jpg", "a/2.jpg", "b/3.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "b" / "3.jpg")
    monkeypatch.chdir(tmp_path)
    named = [Path("b"), Path("a/2.jpg"), tmp_path / "a" / "2.jpg", Path("a"), Path("link.jpg")]
    both = find_photos(named)
    assert both.photos == [Path("b/3.jpg"), Path("a/2.jpg"), Path("a/1.jpg")]
    assert both.notices == ["already taken, so not again (named twice, or a link): 3"]


def test_patterns_match_as_in_a_shell(tmp_path: Path) -> None:
    tree(tmp_path, "b.jpg", "a.jpg", "c.png", "d/e/f.jpg", ".h.jpg", ".hidden/g.jpg", "photo[1].jpg", "photo1.jpg")
    assert found(tmp_path / "?.jpg") == ["a.jpg", "b.jpg"]
    assert found(tmp_path / "**" / "*.jpg") == ["a.jpg", "b.jpg", "f.jpg", "photo1.jpg", "photo[1].jpg"]
    assert found(tmp_path / "d*") == ["f.jpg"]
    assert found(tmp_path / "photo[1].jpg") == ["photo[1].jpg"]  # a name before a pattern


def test_hidden_ones_are_taken_where_they_are_named_themselves(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "._a.jpg", ".trash/b.jpg", ".trash/.c.jpg", "Thumbs.db")
    hidden = "left out as hidden: 1 file or folder (name one to have it taken)"
    assert (found(tmp_path), find_photos([tmp_path]).notices) == (["a.jpg"], [hidden])  # none for what macOS leaves
    assert (found(tmp_path / ".trash"), find_photos([tmp_path / ".trash"]).notices) == (["b.jpg"], [hidden])
    assert found(tmp_path / "._a.jpg") == ["._a.jpg"]


def test_a_link_that_leads_back_ends_and_one_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.jpg")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    (tmp_path / "a" / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "a" / "self.jpg").symlink_to("self.jpg")
    assert found(tmp_path) == ["1.jpg"]
    assert find_photos([tmp_path]).notices == ["left out as no photos: 2 with no file behind the name"]
    assert found(tmp_path / "**") == ["1.jpg"]


def test_what_is_no_photo_is_told_by_suffix_with_the_way_out(tmp_path: Path) -> None:
    tree(tmp_path, "1.jpg", "1.HEIC", "2.heic", "a/3.heic", "a/notes.txt", "a/README", "b.txt", "c.avif")
    assert find_photos([tmp_path]).notices == [
        "left out as no photos: 3 .heic, 2 .txt, 1 .avif, 1 without a suffix. "
        "Convert .avif, .heic to JPEG to have them read"
    ]


def test_names_that_lead_to_nothing_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, "photos/1.jpg", "only/1.heic")
    wanted = "Name JPEG, PNG or other photos, or folders of them."
    no = tmp_path / "photo"
    assert refused([tmp_path, no]) == f'{no}: no such file or folder. Did you mean "photos"? {wanted}'
    assert refused([tmp_path / "no" / "x"]) == f"{tmp_path}/no/x: no such file or folder. {wanted}"
    assert refused([tmp_path / "*.png"]) == f"{tmp_path}/*.png: no file or folder matches this pattern. {wanted}"
    assert refused([tmp_path / "only"]) == (
        f"{tmp_path}/only: no photo there (left out as no photos: 1 .heic. Convert .heic to JPEG to "
        f"have them read). {wanted}"
    )
    (tmp_path / "empty").mkdir()
    assert re.fullmatch(r".*/empty: no photo there\. Name JPEG.*", refused([tmp_path / "empty"]))
