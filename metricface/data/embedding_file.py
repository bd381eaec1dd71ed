"""Embeddings in a file: ours (.npz) and other people's (.npz, or .npy with a .csv beside it), read without pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from metricface.contracts import CLEAN, EmbeddingSet
from metricface.data.array_files import Array, read_npy, read_npz
from metricface.data.tables import read_table
from metricface.errors import DataError
from metricface.files import write_atomically

Floats = npt.NDArray[np.float32]

SUFFIXES = (".npz", ".npy")
_OWN = ("vectors", "norms", "labels", "conditions", "severities", "sources", "paths", "label_names", "condition_names")
_TEXTS = ("sources", "paths", "label_names", "condition_names")
_PER_PHOTO = ("norms", "labels", "conditions", "severities", "sources", "paths")
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
    arrays: dict[str, Any] = {name: getattr(embeddings, name) for name in _OWN if name not in _TEXTS}
    texts = {name: getattr(embeddings, name) for name in _TEXTS}
    texts |= {_ATTRIBUTE + name: values for name, values in embeddings.attributes.items()}
    arrays |= {name: np.asarray(values, np.str_) for name, values in texts.items()}  # numpy would pickle objects
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
    arrays = read_npz(path) if path.suffix == ".npz" else {"vectors": read_npy(path), **_csv(path.with_suffix(".csv"))}
    contract = arrays.pop(_CONTRACT, np.array(""))
    if contract.shape or contract.dtype.kind != "U":
        raise DataError(f"{path}: contract is {contract.dtype} {contract.shape}, not one text. {_LAYOUT}")
    embeddings, notices = embedding_set_of(arrays, str(path))
    return StoredEmbeddings(embeddings, str(contract), notices)


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
    vectors, lengths, notices = _unit(arrays["vectors"], where)
    count = len(vectors)
    given = {name: arrays[name] for name in arrays if name in _PER_PHOTO or name.startswith(_ATTRIBUTE)}
    for name, values in given.items():
        if values.shape != (count,):
            raise DataError(f"{where}: {name} is {values.shape}, not ({count},) as there are vectors. {_LAYOUT}")
    if unknown := sorted(set(arrays) - {*_OWN, *given}):
        notices.append(f"{where}: was not asked for {', '.join(unknown)}")
    labels, label_names = _named(given["labels"], arrays.get("label_names"), f"{where}: labels")
    condition = given.get("conditions", np.full(count, CLEAN))
    conditions, condition_names = _named(condition, arrays.get("condition_names"), f"{where}: conditions", first=CLEAN)
    found = EmbeddingSet(
        vectors=vectors,
        norms=_norms(given.get("norms", lengths), where),
        labels=labels,
        conditions=conditions,
        severities=_numbers(given.get("severities", np.zeros(count, np.int64)), f"{where}: severities"),
        sources=_texts(given.get("sources", np.full(count, "")), f"{where}: sources"),
        paths=_texts(given.get("paths", np.arange(count)), f"{where}: paths"),
        label_names=label_names,
        condition_names=condition_names,
        attributes={
            name.removeprefix(_ATTRIBUTE): _texts(values, f"{where}: {name}")
            for name, values in given.items()
            if name.startswith(_ATTRIBUTE)
        },
    )
    return found, notices


def _unit(given: Array, where: str) -> tuple[Floats, Floats, list[str]]:
    """Return vectors (N, D) of unit length in float32, their former lengths (N,), and what was done."""
    if given.ndim != 2 or given.dtype.kind not in "fiu" or not given.size:
        raise DataError(
            f"{where}: vectors are {given.dtype} {given.shape}, not numbers (N, D) of one at least. {_LAYOUT}"
        )
    notices = [] if given.dtype == np.float32 else [f"{where}: vectors are {given.dtype}, and were made float32"]
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt(np.einsum("nd,nd->n", given, given, dtype=np.float64, casting="same_kind"))
        norms = lengths.astype(np.float32)
    for wrong, what in ((~np.isfinite(norms), "is not finite"), (norms == 0, "is zero, so it has no direction")):
        if wrong.any():
            rows = np.flatnonzero(wrong)
            raise DataError(f"{where}: vector {rows[0]} {what} ({len(rows)} of {len(lengths)}). Take such rows out.")
    apart = np.abs(lengths - 1) > _UNIT
    vectors = np.ascontiguousarray(given, np.float32) if not apart.any() else np.empty(given.shape, np.float32)
    if apart.any():
        np.divide(given, lengths[:, None], out=vectors, casting="same_kind")  # in pieces, not in one float64 array
        span = f"{lengths.min():.4g} to {lengths.max():.4g}"
        notices.append(f"{where}: {apart.sum()} of {len(lengths)} vectors had not length 1 ({span}): divided by it")
    return vectors, norms, notices


def _norms(given: Array, where: str) -> Floats:
    """Return the lengths (N,) that vectors had before somebody made them unit vectors."""
    if given.dtype.kind not in "fiu" or not np.isfinite(given).all():
        raise DataError(f"{where}: norms are {given.dtype}, and not finite numbers all of them. {_LAYOUT}")
    return given.astype(np.float32)


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
        texts = _texts(names, f"{where}: names")
        if not first or texts[0] == first:
            return numbers, tuple(map(str, texts))
        given = texts[numbers]
    if given.dtype.kind not in "iuUS":
        raise DataError(f"{where}: are {given.dtype}, neither whole numbers nor text. {_LAYOUT}")
    texts = _texts(given, where)
    if first:
        texts = np.where(texts == ("0" if given.dtype.kind in "iu" else ""), first, texts)  # number 0 and no text
    found, numbers = np.unique(texts, return_inverse=True)
    listed = sorted(map(str, {first, *found} if first else found), key=lambda name: (name != first, name))
    place = {name: at for at, name in enumerate(listed)}
    return np.array([place[str(name)] for name in found], np.int64)[numbers], tuple(listed)


def _texts(given: Array, where: str) -> npt.NDArray[np.str_]:
    if given.dtype.kind == "S":
        return np.char.decode(given, "utf-8", "surrogateescape")
    if given.dtype.kind not in "Uiufb":
        raise DataError(f"{where}: are {given.dtype}, not text. {_LAYOUT}")
    return given.astype(np.str_)


def _numbers(given: Array, where: str) -> npt.NDArray[np.int64]:
    if given.dtype.kind not in "iu":
        raise DataError(f"{where}: are {given.dtype}, not whole numbers. {_LAYOUT}")
    return given.astype(np.int64)


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
