"""Embeddings in a file: ours (.npz) and other people's (.npz, or .npy with a .csv beside it), read without pickle."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from metricface.contracts import CLEAN, EmbeddingSet
from metricface.data.tables import read_table
from metricface.errors import DataError
from metricface.files import write_atomically
from metricface.machine import memory_size

Array = npt.NDArray[Any]

SUFFIXES = (".npz", ".npy")
_OWN = ("vectors", "norms", "labels", "conditions", "severities", "sources", "paths", "label_names", "condition_names")
_CONTRACT = "contract"
_ATTRIBUTE = "attribute."
_UNIT = 1e-3  # lengths may differ from 1 by this, as everywhere
_LAYOUT = (
    "A file of embeddings is .npz with vectors (N, D) and labels (N,), and as you like conditions, sources and paths; "
    "or .npy with a .csv of the same name beside it, whose columns are identity, and as you like condition, source, "
    "path."
)


@dataclass(frozen=True, slots=True)
class StoredEmbeddings:
    """What a file of embeddings holds.

    Args:
        embeddings: with vectors of unit length.
        contract: which model and preparation of photos made them (see `model_contract`), "" where nobody says so.
        notices: what was done to them on the way in, as lines for the user.
    """

    embeddings: EmbeddingSet
    contract: str = ""
    notices: Sequence[str] = ()


def write_embeddings(path: Path, embeddings: EmbeddingSet, contract: str) -> None:
    """Write embeddings so that `read_embeddings` returns them; the file appears once it is whole."""
    arrays: dict[str, Any] = {name: getattr(embeddings, name) for name in _OWN}
    arrays |= {name: np.array(arrays[name], np.str_) for name in ("label_names", "condition_names")}
    arrays |= {_ATTRIBUTE + name: values for name, values in embeddings.attributes.items()}
    arrays[_CONTRACT] = np.array(contract)
    write_atomically(path, lambda file: np.savez(file, **arrays))


def read_embeddings(path: str | PathLike[str]) -> StoredEmbeddings:
    """Read embeddings of ours or of somebody else; see the message of the error for the layout.

    Vectors that are not of unit length are divided by their length, with a notice. Nothing in a file can run code.

    Raises:
        DataError: there is no such file, it is damaged, lacks something, holds no vector, or one that is not finite or
            has no direction; names the file and the first such row.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file. {_LAYOUT}")
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path}: no file of embeddings by its suffix. {_LAYOUT}")
    arrays = _npz(path) if path.suffix == ".npz" else {"vectors": _npy(path), **_csv(path.with_suffix(".csv"))}
    contract = str(arrays.pop(_CONTRACT, ""))
    embeddings, notices = embedding_set_of(arrays, str(path))
    return StoredEmbeddings(embeddings, contract, notices)


def embedding_set_of(arrays: Mapping[str, Array], where: str) -> tuple[EmbeddingSet, list[str]]:
    """Return arrays as an EmbeddingSet, with what had to be done to them.

    Args:
        arrays: vectors (N, D) and labels (N,), numbers or text; see `read_embeddings` for the others.
        where: what messages call them.

    Raises:
        DataError: as `read_embeddings`.
    """
    if missing := [name for name in ("vectors", "labels") if name not in arrays]:
        raise DataError(f"{where}: has no {missing[0]} (got {', '.join(arrays) or 'nothing'}). {_LAYOUT}")
    vectors, norms, notices = _unit(arrays["vectors"], where)
    count = len(vectors)
    given = {
        name: values for name, values in arrays.items() if name not in ("vectors", "label_names", "condition_names")
    }
    for name, values in given.items():
        if values.shape != (count,):
            raise DataError(f"{where}: {name} is {values.shape}, not ({count},) as there are vectors. {_LAYOUT}")
    labels, label_names = _named(given["labels"], arrays.get("label_names"), f"{where}: labels")
    condition = given.get("conditions", np.full(count, CLEAN))
    conditions, condition_names = _named(condition, arrays.get("condition_names"), f"{where}: conditions", first=CLEAN)
    found = EmbeddingSet(
        vectors=vectors,
        norms=given["norms"].astype(np.float32) if "norms" in given else norms,
        labels=labels,
        conditions=conditions,
        severities=_numbers(given.get("severities", np.zeros(count, np.int64)), f"{where}: severities"),
        sources=given.get("sources", np.full(count, "")).astype(np.str_),
        paths=given.get("paths", np.arange(count)).astype(np.str_),
        label_names=label_names,
        condition_names=condition_names,
        attributes={
            name.removeprefix(_ATTRIBUTE): values.astype(np.str_)
            for name, values in given.items()
            if name.startswith(_ATTRIBUTE)
        },
    )
    return found, notices


def _unit(given: Array, where: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], list[str]]:
    """Return vectors (N, D) of unit length in float32, their former lengths (N,), and what was done."""
    if given.ndim != 2 or given.dtype.kind not in "fiu" or not given.size:
        raise DataError(
            f"{where}: vectors are {given.dtype} {given.shape}, not numbers (N, D) of one at least. {_LAYOUT}"
        )
    notices = [] if given.dtype == np.float32 else [f"{where}: vectors are {given.dtype}, and were made float32"]
    vectors = np.ascontiguousarray(given, np.float32)
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    for wrong, what in ((~np.isfinite(norms), "is not finite"), (norms == 0, "is zero, so it has no direction")):
        if wrong.any():
            rows = np.flatnonzero(wrong)
            raise DataError(f"{where}: vector {rows[0]} {what} ({len(rows)} of {len(norms)}). Take such rows out.")
    apart = np.abs(norms - 1) > _UNIT
    if apart.any():
        vectors = (vectors / norms[:, None]).astype(np.float32)
        lengths = f"{norms.min():.4g} to {norms.max():.4g}"
        notices.append(f"{where}: {apart.sum()} of {len(norms)} vectors had not length 1 ({lengths}): divided by it")
    return vectors, norms.astype(np.float32), notices


def _named(
    given: Array, names: Array | None, where: str, first: str = ""
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Return numbers (N,) from 0 and the name of each; `first` is the name of number 0, where there is one."""
    if names is not None:
        numbers = _numbers(given, where)
        if names.ndim != 1 or numbers.min() < 0 or numbers.max() >= len(names):
            raise DataError(
                f"{where}: go from {numbers.min()} to {numbers.max()}, and there are {names.size} names for them."
            )
        return numbers, tuple(map(str, names))
    if given.dtype.kind not in "iuUS":
        raise DataError(f"{where}: are {given.dtype}, neither whole numbers nor text. {_LAYOUT}")
    if first and given.dtype.kind in "iu":  # 0 is clean
        texts = np.where(given == 0, first, given.astype(np.str_))
    else:
        texts = given.astype(np.str_)
    if first:
        texts = np.where(texts == "", first, texts)
    found, numbers = np.unique(texts, return_inverse=True)
    order = sorted(range(len(found)), key=lambda number: (found[number] != first, number))
    listed = [str(found[number]) for number in order]
    if first and listed[0] != first:
        listed, order = [first, *listed], [-1, *order]
    place = {number: at for at, number in enumerate(order)}
    return np.array([place[number] for number in range(len(found))], np.int64)[numbers], tuple(listed)


def _numbers(given: Array, where: str) -> npt.NDArray[np.int64]:
    if given.dtype.kind not in "iu":
        raise DataError(f"{where}: are {given.dtype}, not whole numbers. {_LAYOUT}")
    return given.astype(np.int64)


def _npz(path: Path) -> dict[str, Array]:
    """Return the arrays of an .npz file."""
    try:
        with zipfile.ZipFile(path) as archive:
            inside = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            if sum(info.file_size for info in inside.values()) > memory_size():
                raise DataError(f"{path}: is larger than the memory of this machine. Split it.")
            return {name: _array(archive.open(info), info.file_size) for name, info in inside.items()}
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be read as .npz ({_said(error)}). Get it again.") from error


def _npy(path: Path) -> Array:
    try:
        with path.open("rb") as file:
            return _array(file, path.stat().st_size)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as .npy ({_said(error)}). Get it again.") from error


def _array(file: IO[bytes], size: int) -> Array:
    """Return an array of `size` bytes with its header, which must say so before any memory is asked for."""
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("it holds objects of Python, which only pickle could read")
    wanted = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if wanted != size - file.tell():
        raise ValueError(f"its header says {wanted} bytes, there are {size - file.tell()}")
    found = np.frombuffer(bytearray(file.read(wanted)), dtype)
    return found.reshape(shape[::-1]).transpose() if fortran else found.reshape(shape)


def _csv(path: Path) -> dict[str, Array]:
    """Return the columns of the table beside an .npy file."""
    if not path.is_file():
        raise DataError(f"{path}: no such file, and the .npy beside it holds vectors alone. {_LAYOUT}")
    table = read_table(path, (), _LAYOUT)
    columns = {"label": "labels", "identity": "labels", "condition": "conditions", "source": "sources", "path": "paths"}
    found = {
        columns[name]: np.array([row.values[name] for row in table.rows], np.str_)
        for name in columns
        if name in table.columns
    }
    return cast("dict[str, Array]", found)


def _said(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
