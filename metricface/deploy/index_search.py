"""The nearest neighbours of photos, or of embeddings, in an index that was saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from metricface.build.model_folder import LoadedModel, load_model
from metricface.components.registry import Registries
from metricface.contracts import Console
from metricface.data.embedding_file import SUFFIXES, read_embeddings
from metricface.data.named_photos import find_photos
from metricface.data.photos import PhotoFiles
from metricface.deploy.embed import model_contract
from metricface.deploy.index_store import StoredIndex, refuse_other_model
from metricface.errors import DataError, EvaluationError, UsageError
from metricface.evaluation.subject import embed_photos
from metricface.functional.metrics.ranking import NOBODY
from metricface.machine import choose_device
from metricface.model.face_model import laid_out

if TYPE_CHECKING:
    from metricface.contracts.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One find: `rank` from 1, the cosine, and what the index knows of it."""

    rank: int
    cosine: float
    person: str
    condition: str
    path: str


@dataclass(frozen=True, slots=True)
class Found:
    """The neighbours of one query, the nearest first; fewer than were asked for where the index finds no more."""

    query: str
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True, slots=True)
class Queries:
    """What to look for: names and unit vectors (Q, D), the contract of their model, and what messages call them."""

    names: Sequence[str]
    vectors: FloatArray
    contract: str
    source: str


def queries_of(
    named: Sequence[Path],
    model: Path | None,
    registries: Registries,
    console: Console,
    *,
    device: str = "auto",
    batch_size: int = 64,
) -> Queries:
    """Return what a user wants looked for.

    Args:
        named: one file of embeddings, or photos, folders of them and patterns.
        model: that photos are embedded with.
        registries: kind -> registry.
        console: told of notices and progress.
        device: as `train.device`.
        batch_size: photos at once.

    Raises:
        UsageError: photos without a model. DataError: nothing to look for, or a file that cannot be read.
    """
    if len(named) == 1 and named[0].suffix in SUFFIXES:
        given = read_embeddings(named[0])
        for notice in given.notices:
            console.say(notice)
        return Queries(given.embeddings.paths.tolist(), given.embeddings.vectors, given.contract, str(named[0]))
    if model is None:
        raise UsageError(f"{named[0]}: to look for photos, name the model that made the vectors: --model MODEL")
    found = find_photos(named)
    for notice in found.notices:
        console.say(notice)
    loaded = load_model(model, registries)
    names, vectors = _embedded(loaded, found.photos, console, device, batch_size)
    return Queries(names, vectors, model_contract(loaded), str(model))


def search_index(folder: Path, stored: StoredIndex, queries: Queries, k: int) -> list[Found]:
    """Look for the k nearest neighbours of every query.

    Args:
        folder: where the index is, for messages.
        stored: the index.
        queries: what to look for.
        k: how many neighbours.

    Raises:
        UsageError: the vectors are of another model than the index's.
    """
    refuse_other_model(stored.sidecar.contract, queries.contract, (str(folder), queries.source))
    dim = queries.vectors.shape[1]
    if dim != stored.sidecar.dim:
        raise UsageError(f"{folder}: holds vectors of {stored.sidecar.dim} dimensions, not {dim}. Take its model's.")
    cosines, ids = stored.search(queries.vectors, k)
    return [
        Found(name, tuple(_neighbours(stored, cosines[row], ids[row].tolist())))
        for row, name in enumerate(queries.names)
    ]


def _neighbours(stored: StoredIndex, cosines: FloatArray, ids: Sequence[int]) -> list[Neighbour]:
    entries = stored.entries
    return [
        Neighbour(
            rank,
            round(float(cosine), 6),
            entries.label_names[entries.labels[number]],
            entries.condition_names[entries.conditions[number]],
            str(entries.paths[number]),
        )
        for rank, (cosine, number) in enumerate(zip(cosines, ids, strict=True), 1)
        if number != NOBODY
    ]


def _embedded(
    loaded: LoadedModel, paths: Sequence[Path], console: Console, device: str, batch_size: int
) -> tuple[list[str], FloatArray]:
    """Return the paths of photos and their unit embeddings; those that cannot be read are told and left out."""
    chosen, progress = choose_device(device, "device"), console.progress("embedding")
    photos, model = PhotoFiles(paths, loaded.preprocessing), laid_out(loaded.model, chosen)
    names: list[str] = []
    parts: list[FloatArray] = []
    done = 0
    for batch in embed_photos(model, photos, loaded.preprocessing, device=chosen, batch_size=batch_size):
        for _, why in sorted(batch.unreadable.items()):
            console.say(f"left out: {why}")
        if batch.numbers:
            names += [str(paths[number]) for number in batch.numbers]
            parts.append(batch.embeddings.cpu().numpy())
        done += len(batch)
        progress(done, len(photos))
    if not parts:
        raise DataError(f"{paths[0]}: no photo that could be read. Name JPEG, PNG or other photos.")
    vectors = np.concatenate(parts)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    wrong = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if len(wrong):
        raise EvaluationError(f"{names[wrong[0]]}: the model gives it no direction. It is broken: train it anew.")
    return names, vectors / lengths
