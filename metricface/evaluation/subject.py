"""From photos to embeddings and logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from metricface.contracts import Batch, Dataset, EmbeddingSet, Head, InputSpec, Predictions, Progress
from metricface.contracts.results import OperatingPoint
from metricface.data.loader import Collate, Sample, condition_names, start_worker
from metricface.errors import EvaluationError


class ModelSubject:
    """A model (and head, if it has one) with the photos that it is evaluated on; embeddings are computed once.

    Args:
        model: (B, 3, H, W) -> (B, D).
        dataset: photos of the model's image size, see `metricface.data.loader.Photos`.
        input_spec: mean and std.
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
        input_spec: InputSpec,
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
        self._model, self._head, self._input_spec = model, head, input_spec
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
        vectors = self._embeddings(dataset)
        norms = np.linalg.norm(vectors, axis=1)
        bad = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
        if len(bad):
            raise EvaluationError(
                f"{dataset.items[bad[0]].path}: its embedding has length {norms[bad[0]]}, so it has no direction "
                f"({len(bad)} of {len(norms)} photos). The model is broken: train with a lower optimizer.lr or fp32."
            )
        return embedding_set(dataset, vectors / norms[:, None], norms)

    def predict(self, dataset: Dataset) -> Predictions:
        """Return the head's logits (no margin) of a dataset.

        Raises:
            EvaluationError: the model has no head.
        """
        if self._head is None:
            raise EvaluationError("evaluation: class logits are asked for, but the recipe has no [head]. Add one.")
        embeddings = torch.from_numpy(self._embeddings(dataset)).to(self._device)
        with torch.inference_mode(), _evaluating(self._head):
            logits = self._head(embeddings).logits
        labels = np.array([item.label for item in dataset.items], np.int64)
        return Predictions(logits.float().cpu().numpy(), labels, dataset.label_names)

    def _embeddings(self, dataset: Dataset) -> np.ndarray:
        """Return raw embeddings (N, D) float32, from the cache if they are there."""
        if id(dataset) not in self._raw:
            batches = _in_order(dataset, self._input_spec, self._batch_size, self._workers, self._device)
            found = embed_batches(self._model, batches, self._device, _tell(self._progress, len(dataset)))
            self._raw[id(dataset)] = (dataset, found)  # the dataset is kept so that its id stays its own
        return self._raw[id(dataset)][1]


def embed_batches(
    model: nn.Module, batches: Iterator[Batch], device: torch.device, tell: Callable[[int], None]
) -> np.ndarray:
    """Return embeddings (N, D) float32, not normalised, in the order of the batches; `model` keeps its mode."""
    parts: list[Tensor] = []
    done = 0
    with torch.inference_mode(), _evaluating(model):
        for batch in batches:
            images = batch.images.to(device, non_blocking=True, memory_format=torch.channels_last)
            parts.append(model(images).float().cpu())
            done += len(images)
            tell(done)
    return torch.cat(parts).numpy()


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


class _Plain(TorchDataset[Sample]):
    """Photos without augmentation, for torch's DataLoader."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        return Sample(self._dataset.read(index), self._dataset.items[index].label, 0, index)


def _in_order(
    dataset: Dataset, input_spec: InputSpec, batch_size: int, workers: int, device: torch.device
) -> Iterator[Batch]:
    loader: DataLoader[Any] = DataLoader(
        _Plain(dataset),
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=Collate(input_spec),
        pin_memory=device.type == "cuda",
        worker_init_fn=start_worker,
        generator=torch.Generator(),  # evaluating must not move the random numbers of training
    )
    yield from loader


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


def _tell(progress: Progress | None, total: int) -> Callable[[int], None]:
    return (lambda _done: None) if progress is None else (lambda done: progress(done, total))
