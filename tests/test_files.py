"""Files that replace others in one step, and folders that are made for an output."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from metricface.errors import UsageError
from metricface.files import as_cell, from_cell, made_folder, printable, write_atomically, write_json, write_text


def test_an_error_names_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "before")

    def full(_file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(path, full)
    assert (caught.value.filename, caught.value.errno) == (str(path), errno.ENOSPC)
    assert (path.read_text(), len(list(tmp_path.iterdir()))) == ("before", 1)
    with pytest.raises(FileNotFoundError) as missing:
        write_text(tmp_path / "none" / "a.txt", "")
    assert missing.value.filename == str(tmp_path / "none" / "a.txt")


def test_a_folder_is_kept_if_something_was_put_there_and_removed_otherwise(tmp_path: Path) -> None:
    with made_folder(tmp_path / "a" / "b", "--out"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []
    with made_folder(tmp_path / "a" / "b", "--out"):
        (tmp_path / "a" / "kept").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["kept"]
    with pytest.raises(KeyError), made_folder(tmp_path / "c" / "d", "--out"):
        raise KeyError
    assert not (tmp_path / "c").exists()
    (tmp_path / "mine").mkdir()
    with made_folder(tmp_path / "mine", "--out"):
        pass
    assert (tmp_path / "mine").is_dir()


def test_a_folder_that_cannot_be_made_is_a_mistake_of_usage(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, reason in ((tmp_path / "file", "File exists"), (tmp_path / "file" / "x", "Not a directory")):
        with pytest.raises(UsageError) as caught, made_folder(path, "--to"):
            pass
        assert str(caught.value) == f"{path}: cannot be written to ({reason}). Name another folder with --to."


def test_a_new_folder_is_nobody_elses(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(FileExistsError), made_folder(tmp_path / "a", "--out", new=True):
        pass
    assert (tmp_path / "a").is_dir()


def test_a_name_of_255_bytes_can_be_written(tmp_path: Path) -> None:
    for name in ("a" * 251 + ".jpg", "é" * 127, "😀" * 63):
        write_text(tmp_path / name, "x")
        assert (tmp_path / name).read_text() == "x"
    assert len(list(tmp_path.iterdir())) == 3


def test_bytes_that_are_not_utf_8_come_back_from_json(tmp_path: Path) -> None:
    name = b"Jos\xe9 Zo\xc3\xab".decode(errors="surrogateescape")
    write_json(tmp_path / "a.json", {name: [name]})
    text = (tmp_path / "a.json").read_bytes().decode()  # valid UTF-8
    assert '"Jos\\udce9 Zoë"' in text
    assert json.loads(text) == {name: [name]}


def test_nothing_in_a_text_commands_a_terminal() -> None:
    assert printable("a\x1b[31mb\x07\r\x9b1m\x7f\u202ec") == r"a\x1b[31mb\x07\r\x9b1m\x7f\u202ec"
    assert printable("Zoë 陳\tx\ny \udce9") == "Zoë 陳\tx\ny \udce9"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "'=", "''-"])
def test_no_cell_is_a_formula_and_all_come_back(start: str) -> None:
    text = f"{start}1+1.jpg"
    assert as_cell(text) == f"'{text}"
    assert from_cell(f"'{text}") == text


@pytest.mark.parametrize("value", ["a=1.jpg", "'a", "", "-0.250000", "+3", "-2.5e-08", -2.5, 3, None])
def test_other_cells_stay_as_they_are(value: object) -> None:
    assert as_cell(value) == value
    assert from_cell(str(value)) == str(value)
