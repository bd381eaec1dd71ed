"""Files that replace others in one step, and folders that are made for an output."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from metricface.errors import UsageError
from metricface.files import made_folder, write_atomically, write_text


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
