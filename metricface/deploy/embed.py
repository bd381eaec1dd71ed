"""Embeddings of many photos, in shards that survive whatever ends the process: `metricface embed`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from metricface.build import components as make
from metricface.build.model_folder import LoadedModel, load_model, stored_component
from metricface.components.registry import Registries, installed_registries
from metricface.contracts import Console, Dataset, EmbeddingSet, Item, Progress, Silent
from metricface.data.embedding_file import StoredEmbeddings, read_embeddings
from metricface.data.photos import SomePhotos, refuse_or_tell
from metricface.data.tables import header
from metricface.deploy.shards import Shard, Shards
from metricface.evaluation.subject import Embedded, embed_photos, unit_embeddings
from metricface.machine import choose_device, worker_count
from metricface.model.face_model import laid_out
from metricface.recipe.schema import ComponentSpec

SHARD = 2048  # photos


@dataclass(frozen=True, slots=True)
class Embedding:
    """What came of embedding photos.

    Args:
        stored: the embeddings, as a file of them has them.
        photos: how many there were.
        done_before: how many of them an earlier, interrupted call had embedded.
    """

    stored: StoredEmbeddings
    photos: int
    done_before: int


def model_contract(loaded: LoadedModel) -> str:
    """Return what two sets of vectors must have in common to be compared: weights, dimension, preparation of photos."""
    description, layer = loaded.description, loaded.description.layer
    prepared = {
        "transform": description.transform.model_dump(mode="json"),
        "embedding": None if layer is None else asdict(layer),
    }
    digest = hashlib.sha256(json.dumps(prepared, sort_keys=True, default=str).encode()).hexdigest()
    size = loaded.preprocessing.image_size
    return f"{description.sha256[:16]}-{loaded.model.evaluated_dim}d-{size}px-{digest[:8]}"


def photos_to_embed(loaded: LoadedModel, source: Path, split: str | None, registries: Registries) -> Dataset:
    """Return the dataset of a folder or of a manifest.

    Args:
        loaded: the model, whose own kind of dataset a folder is read as, if that takes one.
        source: a folder of people's or classes' folders, one with splits, or a CSV manifest.
        split: which split; None is val where there is one, else all of it.
        registries: kind -> registry.

    Raises:
        DataError: there is nothing that can be embedded.
    """
    own = loaded.description.data
    if source.suffix.lower() == ".csv":
        known = header(source)
        classes = own.arguments.get("classes", ()) if "label" in known and "identity" not in known else ()
        arguments = {"manifest": source, "classes": tuple(classes)}
        spec, root, split = ComponentSpec("dataset", "csv-manifest", arguments), source.parent, split or "val"
    else:
        plain = "manifest" in own.arguments  # a model of another's manifest
        spec = ComponentSpec("dataset", "identity-folder") if plain else stored_component(registries, "dataset", own)
        root, split = source, ("val" if (source / "val").is_dir() else "") if split is None else split
    found: Dataset = make.component(registries, spec, root=root, split=split)
    return found


def embed(
    path: str | PathLike[str],
    source: Path,
    registries: Registries | None = None,
    console: Console | None = None,
    *,
    split: str | None = None,
    shards: Path | None = None,
    device: str = "auto",
    batch_size: int = 64,
) -> Embedding:
    """Embed the photos of a folder or manifest with a model.

    Args:
        path: a model folder or a run folder.
        source: see `photos_to_embed`.
        registries: kind -> registry; None looks at the installed packages.
        console: told of notices and progress; None for a silent one.
        split: see `photos_to_embed`.
        shards: a folder for what is done; what an earlier call with the same model and photos left there is not done
            again. None keeps everything in memory.
        device: as `train.device`.
        batch_size: photos at once.

    Raises:
        ModelError, EvaluationError: no usable model. DataError: no photos, or too many that cannot be read.
    """
    registries = installed_registries() if registries is None else registries
    console = console or Silent()
    loaded = load_model(path, registries)
    dataset = photos_to_embed(loaded, Path(source), split, registries)
    for notice in dataset.notices:
        console.say(notice)
    contract = model_contract(loaded)
    plan = {"contract": contract, "photos": _photos_digest(dataset.items), "shard": SHARD}
    store = Shards(shards, plan) if shards is not None else None
    parts, before = _embed_all(loaded, dataset, store, console.progress("embedding"), device, batch_size)
    for notice in refuse_or_tell([reason for part in parts for reason in part.reasons], len(dataset)):
        console.say(notice)
    return Embedding(StoredEmbeddings(_joined(loaded, dataset, parts), contract), len(dataset), before)


def _joined(loaded: LoadedModel, dataset: Dataset, parts: Sequence[Shard]) -> EmbeddingSet:
    """Return shards as one set, with what is known of the photos that could be read."""
    kept = SomePhotos(dataset, np.concatenate([part.numbers for part in parts]).tolist(), loaded.preprocessing)
    return unit_embeddings(kept, np.concatenate([part.vectors for part in parts]))


def read_or_embed(
    path: Path, registries: Registries | None = None, console: Console | None = None, *, device: str = "auto"
) -> StoredEmbeddings:
    """Return the embeddings of a file, or those of a model on the photos that its recipe evaluated on.

    Raises:
        DataError, ModelError: it is neither, or damaged.
    """
    if not path.is_dir():
        return read_embeddings(path)
    registries = installed_registries() if registries is None else registries
    root = Path(load_model(path, registries).description.data.root)
    return embed(path, root, registries, console, device=device).stored


def _embed_all(
    loaded: LoadedModel, dataset: Dataset, store: Shards | None, progress: Progress, device: str, batch_size: int
) -> tuple[list[Shard], int]:
    """Return the embeddings of a dataset shard by shard, and how many photos were in those that were there already."""
    chosen = choose_device(device, "device")
    model, workers = laid_out(loaded.model, chosen), worker_count("auto", chosen)
    parts: list[Shard] = []
    done = before = 0
    for start in range(0, len(dataset), SHARD):
        numbers = list(range(start, min(start + SHARD, len(dataset))))
        part = None if store is None else store.read(start)
        if part is None:
            photos = SomePhotos(dataset, numbers, loaded.preprocessing)
            batches: list[Embedded] = []
            for batch in embed_photos(
                model, photos, loaded.preprocessing, device=chosen, batch_size=batch_size, workers=workers
            ):
                batches.append(batch)
                done += len(batch)
                progress(done, len(dataset))
            part = _shard(batches, start, loaded.model.evaluated_dim)
            if store is not None:
                store.write(start, part)
        else:
            before += len(numbers)
            done += len(numbers)
            progress(done, len(dataset))
        parts.append(part)
    return parts, before


def _shard(batches: Sequence[Embedded], start: int, dim: int) -> Shard:
    """Return batches as one shard; numbers are those of the whole dataset."""
    numbers = [start + number for batch in batches for number in batch.numbers]
    vectors = [batch.embeddings.cpu().numpy() for batch in batches if batch.numbers]
    return Shard(
        numbers=np.array(numbers, np.int64),
        vectors=np.concatenate(vectors) if vectors else np.empty((0, dim), np.float32),
        reasons=tuple(why for batch in batches for _, why in sorted(batch.unreadable.items())),
    )


def _photos_digest(items: Sequence[Item]) -> str:
    """Return what changes where a photo is another, or another file."""
    digest = hashlib.sha256()
    for item in items:
        stamp: tuple[int, ...] = ()
        with suppress(OSError):  # whoever reads it says what is wrong
            found = item.path.stat()
            stamp = (found.st_size, found.st_mtime_ns)
        known = (
            str(item.path),
            item.label,
            item.condition,
            item.severity,
            item.source,
            sorted(item.attributes.items()),
        )
        digest.update(repr((known, stamp)).encode(errors="surrogateescape"))
    return digest.hexdigest()
