from __future__ import annotations

import os
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metricface.contracts import EmbeddingSet
from metricface.data import array_files
from metricface.data.embedding_file import StoredEmbeddings, read_embeddings, write_embeddings
from metricface.errors import DataError

VECTORS = np.array([[1, 0, 0], [0.6, 0.8, 0], [0, 0.6, -0.8], [0, 0, 1]], np.float32)
LABELS = np.array([1, 0, 1, 0])
ANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_embeddings(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


def npy_beside_csv(folder: Path) -> tuple[Path, bytes]:
    np.save(folder / "e.npy", VECTORS)
    (folder / "e.csv").write_text("identity\na\nb\nc\nd\n")
    return folder / "e.npy", (folder / "e.npy").read_bytes()


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (os.environ["EVIL"],)


def test_nothing_in_a_file_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIL", str(tmp_path / "ran"))
    np.save(tmp_path / "e.npy", np.array([Evil()], object), allow_pickle=True)
    np.savez(tmp_path / "e.npz", vectors=VECTORS, labels=LABELS, paths=np.array([Evil()] * 4, object))
    for name in ("e.npz", "e.npy"):
        assert "it holds objects of Python, which only pickle could read" in refusal(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def npy(header: str, content: bytes = b"\0" * 48, version: tuple[int, int] = (1, 0)) -> bytes:
    size = len(header).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + size + header.encode() + content


HEADERS = {
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}": "its header says 4000000000000 bytes",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}": "its header says 4000000000000 bytes",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3)}": "its header says 36 bytes, there are 48",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-3, -4)}": "negative dimensions|can only specify one unknown",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 4)}": "its header says -48 bytes, there are 48",
    "{'descr': '<U1000000000', 'fortran_order': False, 'shape': (4,)}": "",
    "{'descr': '|O', 'fortran_order': False, 'shape': (6,)}": "it holds objects of Python",
    "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (6,)}": "it holds objects of Python",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (12,)": "EOF in multi-line statement|was never closed",
    "{'descr': '<f4', 'fortran_order': 1, 'shape': (12,)}": "fortran_order is not a valid bool",
    "{'descr': '<f4'}": "Header does not contain the correct keys",
    "__import__('os').getcwd()": "malformed node or string",
    "(" * 300: "",
    "[" * 9000: "",
    "{[]: 1}": "",
    "{'descr': '<U3', 'fortran_order': False, 'shape': (4,)}" + " " * 70 + "\n": "",
    " " * 20000: "Header info length",
}


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0), (9, 1)])
def test_headers_are_not_believed(header: str, version: tuple[int, int], tmp_path: Path) -> None:
    content = npy(header, version=version)
    (tmp_path / "e.npy").write_bytes(content)
    (tmp_path / "e.csv").write_text("identity\na\nb\nc\nd\n")
    refusal(tmp_path / "e.npy")
    with zipfile.ZipFile(tmp_path / "e.npz", "w") as archive:
        archive.writestr("vectors.npy", content)
        archive.writestr("labels.npy", npy("{'descr': '<i8', 'fortran_order': False, 'shape': (6,)}"))
    message = refusal(tmp_path / "e.npz")
    if version == (1, 0):
        assert any(part in message for part in HEADERS[header].split("|"))


def test_letters_beyond_unicode_are_refused(tmp_path: Path) -> None:
    for order in "<>":
        wrong = np.full(4, 0x110000, order + "u4").view(order + "U1")
        np.savez(tmp_path / "e.npz", vectors=VECTORS, labels=wrong)
        assert refusal(tmp_path / "e.npz") == ("cannot be read as .npz (it has letters that are none). Get it again.")


def test_an_archive_that_would_grow_beyond_the_memory_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "e.npz", vectors=np.zeros((10_000, 100), np.float32), labels=np.zeros(10_000))
    assert (tmp_path / "e.npz").stat().st_size < 10_000
    monkeypatch.setattr(array_files, "memory_size", lambda: 4_000_000)
    assert refusal(tmp_path / "e.npz") == "is larger than the memory of this machine. Split it."


def read_or_refused(path: Path) -> StoredEmbeddings | str:
    try:
        return read_embeddings(path)
    except DataError as error:
        return str(error)


def is_refused(path: Path, expected: StoredEmbeddings) -> bool:
    """Whether a changed file was refused, in one line that names it; otherwise all that was read is as before."""
    found = read_or_refused(path)
    if isinstance(found, str):
        assert "\n" not in found
        assert found.startswith(f"{path}: ")
        return True
    assert found.contract == expected.contract
    for field in fields(EmbeddingSet):
        ours, theirs = getattr(found.embeddings, field.name), getattr(expected.embeddings, field.name)
        assert np.array_equal(ours, theirs) if isinstance(ours, np.ndarray) else repr(ours) == repr(theirs), field.name
    return False


@pytest.fixture(scope="module", params=["ours", "compressed"])
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, StoredEmbeddings]:
    path, paths = tmp_path_factory.mktemp("archive") / "e.npz", np.array(["a", "b\udcff", "", "é"])
    if request.param == "ours":
        parts = (np.ones(4, np.float32), LABELS, LABELS, 5 * LABELS, paths, paths, ("A", "B"), ("clean", "dark"))
        write_embeddings(path, EmbeddingSet(VECTORS, *parts, {"role": paths}), "a model")
    else:
        np.savez_compressed(path, vectors=VECTORS, labels=LABELS, paths=paths)
    return path.read_bytes(), read_embeddings(path)


def test_a_file_cut_off_at_any_byte_is_refused(archive: tuple[bytes, StoredEmbeddings], tmp_path: Path) -> None:
    path, content = tmp_path / "e.npz", archive[0]
    for length in range(len(content)):
        path.write_bytes(content[:length])
        refusal(path)


def test_an_npy_cut_off_at_any_byte_is_refused(tmp_path: Path) -> None:
    path, content = npy_beside_csv(tmp_path)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        refusal(path)


CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=0, max_size=6)), min_size=1, max_size=3
)


def changed(content: bytes, changes: list[tuple[float, bytes]], inserted: bool) -> bytes:
    found = bytearray(content)
    for share, new in changes:
        place = int(share * len(found))
        found[place : place if inserted else place + len(new)] = new
    return bytes(found)


@ANY
@given(changes=CHANGES, inserted=st.booleans())
def test_a_changed_archive_is_read_as_it_was_or_refused(
    archive: tuple[bytes, StoredEmbeddings], tmp_path: Path, changes: list[tuple[float, bytes]], inserted: bool
) -> None:
    (tmp_path / "e.npz").write_bytes(changed(archive[0], changes, inserted))
    is_refused(tmp_path / "e.npz", archive[1])


def test_any_byte_of_an_archive_changed_alone_is_noticed_or_matters_not(
    archive: tuple[bytes, StoredEmbeddings], tmp_path: Path
) -> None:
    path, (content, expected) = tmp_path / "e.npz", archive
    refused = 0
    for place in range(0, len(content), 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ (1 + place % 255)]) + content[place + 1 :])
        refused += is_refused(path, expected)
    assert len(content) / 6 < refused < len(content) / 3  # times and the like matter not


def test_an_archive_whose_directory_hides_files_is_refused(
    archive: tuple[bytes, StoredEmbeddings], tmp_path: Path
) -> None:
    path, content = tmp_path / "e.npz", bytearray(archive[0])
    *_, before, last = (at for at in range(len(content)) if content[at : at + 4] == b"PK\x01\x02")
    end = content.rindex(b"PK\x05\x06")
    content[before + 32] = end - last  # the comment of the last but one swallows the last
    path.write_bytes(content)
    assert len(zipfile.ZipFile(path).namelist()) == content[end + 10] - 1
    assert refusal(path) == "cannot be read as .npz (its directory is damaged). Get it again."


@ANY
@given(changes=CHANGES, inserted=st.booleans(), head=st.booleans())
def test_a_changed_npy_is_read_or_refused_in_one_line(
    tmp_path: Path, changes: list[tuple[float, bytes]], inserted: bool, head: bool
) -> None:
    path, content = npy_beside_csv(tmp_path)
    end = 80 if head else len(content)
    path.write_bytes(changed(content[:end], changes, inserted) + content[end:])
    found = read_or_refused(path)
    if isinstance(found, str):
        assert "\n" not in found
    else:
        assert len(found.embeddings.vectors) == 4
        assert np.linalg.norm(found.embeddings.vectors, axis=1) == pytest.approx(np.ones(4), abs=2e-3)
