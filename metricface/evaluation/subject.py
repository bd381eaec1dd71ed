"""From photos to embeddings and logits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from metricface.contracts import Dataset, EmbeddingSet, Head, Predictions, Progress
from metricface.contracts.results import OperatingPoint
from metricface.data.in_order import Squares, batches_in_order
from metricface.data.loader import condition_names
from metricface.errors import DataError, EvaluationError
from metricface.model.preprocessing import Preprocessing

if TYPE_CHECKING:
    from metricface.contracts.arrays import FloatArray


class ModelSubject:
    """A model (and head, if it has one) with the photos that it is evaluated on; embeddings are computed once.

    Args:
        model: (B, 3, H, W) -> (B, D).
        dataset: photos of the model's image size, see `metricface.data.loader.Photos`.
        preprocessing: of the model, for its mean and std.
        head: for `predict`.
        calibration: photos to fit thresholds and temperatures on, see `metricface.contracts.Subject`.
        operating_points: of the evaluator that is given this subject, fitted on other photos than `dataset`.
        device, batch_size, workers: how to compute.
        progress: called with (photos done, photos in all).
    """

    def __init__(
        self,
        model: nn.Module,
        dataset: Dataset,
        preprocessing: Preprocessing,
        *,
        head: Head | None = None,
        calibration: Dataset | None = None,
        operating_points: Sequence[OperatingPoint] = (),
        device: torch.device | None = None,
        batch_size: int = 64,
        workers: int = 0,
        progress: Progress | None = None,
    ) -> None:
        self.dataset, self.calibration = dataset, calibration
        self.operating_points = operating_points
        self._model, self._head, self._preprocessing = model, head, preprocessing
        self._device = device or torch.device("cpu")
        self._batch_size, self._workers, self._progress = batch_size, workers, progress
        self._raw: dict[int, tuple[Dataset, np.ndarray]] = {}

    def offering(self, operating_points: Sequence[OperatingPoint]) -> ModelSubject:
        """Return the same subject, embeddings included, for an evaluator with operating points of its own."""
        other = copy(self)
        other.operating_points = operating_points
        return other

    def embed(self, dataset: Dataset) -> EmbeddingSet:
        """Return unit embeddings of a dataset with all that its items say.

        Raises:
            EvaluationError: an embedding is zero or not finite; names the first such photo.
        """
        return unit_embeddings(dataset, self._embeddings(dataset))

    def predict(self, dataset: Dataset) -> Predictions:
        """Return the head's logits (no margin) of a dataset.

        Raises:
            EvaluationError: the model has no head.
        """
        if self._head is None:
            raise EvaluationError("evaluation: class logits are asked for, but the recipe has no [head]. Add one.")
        logits = logits_of(self._head, torch.from_numpy(self._embeddings(dataset)).to(self._device))
        labels = np.array([item.label for item in dataset.items], np.int64)
        return Predictions(logits, labels, dataset.label_names)

    def _embeddings(self, dataset: Dataset) -> np.ndarray:
        """Return raw embeddings (N, D) float32, from the cache if they are there."""
        if id(dataset) not in self._raw:
            self._raw[id(dataset)] = (dataset, self._embed_all(dataset))  # kept so that its id stays its own
        return self._raw[id(dataset)][1]

    def _embed_all(self, dataset: Dataset) -> np.ndarray:
        parts: list[Tensor] = []
        done = 0
        for batch in embed_photos(
            self._model,
            dataset,
            self._preprocessing,
            device=self._device,
            batch_size=self._batch_size,
            workers=self._workers,
        ):
            for why in batch.unreadable.values():
                raise DataError(why)
            parts.append(batch.embeddings.cpu())
            done += len(batch)
            if self._progress is not None:
                self._progress(done, len(dataset))
        return torch.cat(parts).numpy()


@dataclass(frozen=True, slots=True)
class Embedded:
    """One batch of photos that was embedded.

    Args:
        numbers: of the b photos that could be read, in order.
        embeddings: (b, D) float32 on the model's device, not normalised, a row for each; (0, 0) where b is 0.
        unreadable: number -> why it could not be read, of the others.
    """

    numbers: Sequence[int]
    embeddings: Tensor
    unreadable: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.numbers) + len(self.unreadable)


def embed_photos(
    model: nn.Module,
    photos: Squares,
    preprocessing: Preprocessing,
    *,
    device: torch.device,
    batch_size: int = 64,
    workers: int = 0,
) -> Iterator[Embedded]:
    """Embed photos in their order, batch by batch: of all of them, a few batches are in memory.

    The model is in evaluation mode until the iterator ends or is closed, and then in the mode that it had.

    Args:
        model: (B, 3, S, S) -> (B, D), on `device` and laid out as `laid_out` does.
        photos: squares of the model's size, see `metricface.data.photos`.
        preprocessing: of the model, for its mean and std.
        device: where to compute; photos go to CUDA from page-locked memory.
        batch_size: photos at once, those that cannot be read included.
        workers: processes that read photos; 0 reads them in this one, with a thread for each core.
    """
    batches = batches_in_order(
        photos, preprocessing, batch_size=batch_size, workers=workers, pin_memory=device.type == "cuda"
    )
    with _evaluating(model):
        for batch in batches:
            embeddings = torch.empty(0, 0)
            if batch.numbers:
                images = batch.images.to(device, non_blocking=True, memory_format=torch.channels_last)
                with torch.inference_mode():  # for this line alone: whoever takes the batch goes on in their own mode
                    embeddings = model(images).float()
            yield Embedded(batch.numbers, embeddings, batch.unreadable)


def logits_of(head: Head, embeddings: Tensor) -> FloatArray:
    """Return a head's logits (N, C') float32, without margin, of embeddings (N, D) on its device."""
    with torch.inference_mode(), _evaluating(head):
        logits: FloatArray = head(embeddings).logits.float().cpu().numpy()
    return logits


def unit_embeddings(dataset: Dataset, vectors: np.ndarray) -> EmbeddingSet:
    """Return embeddings (N, D) as a model gives them, of unit length, with all that the dataset says of its photos.

    Raises:
        EvaluationError: an embedding is zero or not finite; names the first such photo.
    """
    norms = np.linalg.norm(vectors, axis=1)
    bad = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
    if len(bad):
        raise EvaluationError(
            f"{dataset.items[bad[0]].path}: its embedding has length {norms[bad[0]]}, so it has no direction "
            f"({len(bad)} of {len(norms)} photos). The model is broken: train with a lower optimizer.lr or fp32."
        )
    return embedding_set(dataset, vectors / norms[:, None], norms)


def embedding_set(dataset: Dataset, vectors: np.ndarray, norms: np.ndarray) -> EmbeddingSet:
    """Join unit vectors (N, D) and their former norms (N,) with what the dataset says of its photos."""
    names = condition_names(dataset)
    numbers = {name: number for number, name in enumerate(names)}
    items = dataset.items
    keys = sorted({key for item in items for key in item.attributes})
    return EmbeddingSet(
        vectors=vectors,
        norms=norms,
        labels=np.array([item.label for item in items], np.int64),
        conditions=np.array([numbers[item.condition] for item in items], np.int64),
        severities=np.array([item.severity for item in items], np.int64),
        sources=np.array([item.source for item in items], np.str_),
        paths=np.array([str(item.path) for item in items], np.str_),
        label_names=dataset.label_names,
        condition_names=names,
        attributes={key: np.array([item.attributes.get(key, "") for item in items], np.str_) for key in keys},
    )


@contextmanager
def _evaluating(module: object) -> Iterator[None]:
    """Evaluation mode for the length of a block; the training flag is put back after."""
    if not isinstance(module, nn.Module):
        yield
        return
    before = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(before)
