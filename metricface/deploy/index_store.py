"""An index on disk with what its ids stand for: nothing of it is read before its size and digest are right."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metricface import __version__
from metricface.build import components as make
from metricface.build.model_folder import stored_component
from metricface.components.registry import Registries
from metricface.contracts import EmbeddingSet, HasFile, Index
from metricface.data.embedding_file import StoredEmbeddings, read_embeddings, write_embeddings
from metricface.errors import ModelError, PluginError, UsageError
from metricface.evaluation.gallery import filled as fill
from metricface.files import write_json
from metricface.model.description import OWN_DIGEST, Reference, own_digest
from metricface.recipe.schema import ComponentSpec

if TYPE_CHECKING:
    from metricface.contracts.arrays import FloatArray, IntArray

SIDECAR = "index.json"
_INDEX, _ENTRIES = "index.bin", "entries.npz"
_LARGEST = 2**20  # bytes of a sidecar
_FORMAT = 1
_BUILD = "Build it again: metricface index build EMB --index NAME -o DIR"


class _File(BaseModel):
    """Size in bytes and sha256 of a file."""

    model_config = ConfigDict(frozen=True, strict=True)

    bytes: Annotated[int, Field(ge=0)]
    sha256: str


class Sidecar(BaseModel):
    """All of index.json that is used."""

    model_config = ConfigDict(frozen=True, strict=True)

    format: Annotated[int, Field(ge=1, le=_FORMAT)]
    contract: str
    dim: Annotated[int, Field(ge=1, le=2**16)]
    count: Annotated[int, Field(ge=1)]
    index: Reference
    packages: dict[str, str]
    files: dict[str, _File]


@dataclass(frozen=True, slots=True)
class StoredIndex:
    """An index with what its ids stand for.

    Args:
        index: filled.
        entries: what is known of id 0, 1, ...; its vectors are (0, D), since the index has them.
        sidecar: what index.json says.
    """

    index: Index
    entries: EmbeddingSet
    sidecar: Sidecar

    def search(self, queries: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
        """Return similarities and ids (Q, K), see `metricface.contracts.Index`."""
        return self.index.search(queries, k)


def filled(registries: Registries, spec: ComponentSpec, vectors: FloatArray) -> Index:
    """Return an index of vectors (N, D), trained on them where it takes training.

    Raises:
        MetricFaceError: the index refuses, for instance too few vectors.
    """
    return fill(make.component(registries, spec, dim=vectors.shape[1]), vectors)


def save_index(
    folder: Path, index: Index, spec: ComponentSpec, stored: StoredEmbeddings, *, force: bool = False
) -> None:
    """Write an index, what its ids stand for and what both are; the folder is there once it is whole.

    Raises:
        UsageError: the folder is there already, or cannot be made. PluginError: the index cannot be saved.
    """
    if not isinstance(index, HasFile):
        raise PluginError(
            f"index {spec.name!r} of {spec.distribution} {spec.version}: cannot be saved (it has no save and load). "
            "Take another."
        )
    if folder.exists() and not force:
        raise UsageError(f"{folder}: is there already. Name another folder, or replace it with --force.")
    vectors = stored.embeddings.vectors
    try:
        made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:50]}."))
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made ({error.strerror}). Name another folder with -o.") from error
    try:
        index.save(made / _INDEX)
        bare = replace(stored.embeddings, vectors=np.ones((len(vectors), 1), np.float32))
        write_embeddings(made / _ENTRIES, bare, stored.contract)
        document = _document(made, spec, stored)
        write_json(made / SIDECAR, {OWN_DIGEST: own_digest(document), **document})
        _put(made, folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _document(made: Path, spec: ComponentSpec, stored: StoredEmbeddings) -> dict[str, Any]:
    """Return what index.json says of the files that lie beside it."""
    count, dim = stored.embeddings.vectors.shape
    return {
        "format": _FORMAT,
        "metricface": __version__,
        "contract": stored.contract,
        "dim": dim,
        "count": count,
        "index": {
            "name": spec.name,
            "distribution": spec.distribution,
            "version": spec.version,
            "arguments": {key: value for key, value in spec.table().items() if key not in ("name", "weight")},
        },
        "packages": _packages(),
        "files": {name: _described(made / name) for name in (_INDEX, _ENTRIES)},
    }


def load_index(folder: Path, registries: Registries) -> StoredIndex:
    """Read an index that `save_index` wrote; a file of another size or digest is refused before anybody reads it.

    Raises:
        ModelError: there is none, or it is damaged, changed or foreign. PluginError: its package is not installed.
    """
    sidecar = _read_sidecar(folder)
    for name in (_INDEX, _ENTRIES):
        _check(folder / name, sidecar.files.get(name))
    index: Any = make.component(registries, stored_component(registries, "index", sidecar.index), dim=sidecar.dim)
    if not isinstance(index, HasFile):
        raise PluginError(f"{folder}: index {sidecar.index.name!r} cannot be read back (it has no load). {_BUILD}")
    index.load(folder / _INDEX)
    entries = read_embeddings(folder / _ENTRIES).embeddings
    return StoredIndex(cast(Index, index), entries, sidecar)


def refuse_other_model(ours: str, theirs: str, names: Sequence[str]) -> None:
    """Refuse to compare vectors of two models.

    Args:
        ours: contract of one, see `metricface.deploy.embed.model_contract`.
        theirs: of the other; "" for both is somebody else's business.
        names: what messages call the two.

    Raises:
        UsageError: they differ.
    """
    if ours != theirs:
        first, second = (contract or "unknown" for contract in (ours, theirs))
        raise UsageError(
            f"{names[0]} and {names[1]}: are of two models ({first} and {second}), whose vectors cannot be compared. "
            "Embed both with one: metricface embed MODEL PHOTOS -o FILE.npz"
        )


def _packages() -> dict[str, str]:
    """Return the versions of what writes index files."""
    found: dict[str, str] = {}
    for name in ("faiss-cpu", "faiss-gpu", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _described(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _put(made: Path, folder: Path) -> None:
    """Give a whole folder its name; what was there before is thrown away after."""
    made.chmod(0o755)
    if not folder.exists():
        made.rename(folder)
        return
    old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:50]}.")) / "old"
    folder.rename(old)
    made.rename(folder)
    shutil.rmtree(old.parent)


def _read_sidecar(folder: Path) -> Sidecar:
    path = folder / SIDECAR
    if not path.is_file():
        raise ModelError(f"{folder}: no index (no {SIDECAR}). {_BUILD}")
    try:
        if path.stat().st_size > _LARGEST:
            raise ModelError(f"{path}: is larger than any that metricface writes. {_BUILD}")
        content = path.read_bytes()
        found = Sidecar.model_validate_json(content)
        document: Mapping[str, Any] = json.loads(content)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}). {_BUILD}") from error
    except (ValidationError, ValueError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": "no JSON"}
        where = ".".join(map(str, first["loc"]))
        raise ModelError(f"{path}: damaged or of another metricface ({where} {first['msg']}). {_BUILD}") from error
    if document.get(OWN_DIGEST) != own_digest(document):
        raise ModelError(f"{path}: changed after it was saved (its content does not have its {OWN_DIGEST}). {_BUILD}")
    return found


def _check(path: Path, wanted: _File | None) -> None:
    """Refuse a file that is not the one that was written."""
    if wanted is None or not path.is_file():
        raise ModelError(f"{path}: is missing. {_BUILD}")
    size = path.stat().st_size
    if size != wanted.bytes:
        raise ModelError(f"{path}: has {size:,} bytes, not the {wanted.bytes:,} that were written. {_BUILD}")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != wanted.sha256:
            raise ModelError(f"{path}: changed after it was written (another sha256). {_BUILD}")
