"""Photos in their order and as they are to batches, for whatever embeds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, get_worker_info
from torch.utils.data import Dataset as TorchDataset

from metricface.data.loader import start_worker
from metricface.errors import DataError
from metricface.machine import usable_cores

if TYPE_CHECKING:
    from metricface.contracts import Image
    from metricface.model.preprocessing import Preprocessing


class Squares(Protocol):
    """Photos by number: `read` gives uint8 (S, S, 3) RGB, and raises DataError for one that cannot be read.

    `read` is called from several threads, or from processes of their own.
    """

    def __len__(self) -> int: ...

    def read(self, index: int) -> Image:
        """Return photo `index`."""


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """One batch of photos, as far as they could be read.

    Args:
        numbers: of the b photos that could be read, in order.
        images: (b, 3, S, S) float32, normalised, a photo for each; (0,) where b is 0.
        unreadable: number -> why it could not be read, of the others.
    """

    numbers: Sequence[int]
    images: Tensor
    unreadable: Mapping[int, str]

    def pin_memory(self) -> ReadBatch:
        """Return the batch in page-locked memory (called by torch's DataLoader)."""
        return replace(self, images=self.images.pin_memory()) if self.numbers else self


def batches_in_order(
    photos: Squares, preprocessing: Preprocessing, *, batch_size: int, workers: int = 0, pin_memory: bool = False
) -> Iterator[ReadBatch]:
    """Yield photos in their order, a batch at a time; no more than a few batches are in memory.

    Args:
        photos: squares of one size, see `metricface.data.photos`.
        preprocessing: mean and std for the normalisation.
        batch_size: the most photos of one batch, those that cannot be read included.
        workers: processes that read photos; 0 reads them in this one, with a thread for each core.
        pin_memory: for CUDA.
    """
    loader: DataLoader[Any] = DataLoader(
        _Reading(photos),
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=_Stacking(preprocessing),
        pin_memory=pin_memory,
        worker_init_fn=start_worker,
        generator=torch.Generator(),  # evaluating must not move the random numbers of training
    )
    yield from loader


class _Reading(TorchDataset[tuple[int, "Image | str"]]):
    """Number -> (number, photo or why it cannot be read), for torch's DataLoader."""

    def __init__(self, photos: Squares) -> None:
        self._photos = photos

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, index: int) -> tuple[int, Image | str]:
        try:
            return index, self._photos.read(index)
        except DataError as error:
            return index, str(error)

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[int, Image | str]]:
        """Read the photos of one batch: in a worker process one by one, otherwise with a thread for each core."""
        if get_worker_info() is not None:
            return [self[index] for index in indices]
        with ThreadPoolExecutor(usable_cores()) as pool:
            return list(pool.map(self.__getitem__, indices))


@dataclass(frozen=True, slots=True)
class _Stacking:
    """Photos as read -> ReadBatch, for torch's DataLoader."""

    preprocessing: Preprocessing

    def __call__(self, read: Sequence[tuple[int, Image | str]]) -> ReadBatch:
        images = {number: image for number, image in read if not isinstance(image, str)}
        unreadable = {number: why for number, why in read if isinstance(why, str)}
        tensor = self.preprocessing.tensor(list(images.values())) if images else torch.empty(0)
        return ReadBatch(list(images), tensor, unreadable)
