"""From photos, sampler and transforms to batches."""

from __future__ import annotations

import signal
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from metricface.contracts import CLEAN, Batch, Dataset, MakesConditions, Sampler, Transform, View
from metricface.contracts.returned import shown, wrong_return
from metricface.data.images import limit_threads
from metricface.machine import ALONE, World

if TYPE_CHECKING:
    from metricface.contracts import Image
    from metricface.model.preprocessing import Preprocessing

_SHOWN = 60  # characters of a batch that is none


class TrainLoader:
    """Batches of augmented photos, the same whatever the number of workers and wherever a run was resumed.

    Every photo is augmented with a generator seeded by (seed, epoch, position in the epoch over all ranks), so a
    photo drawn twice is augmented twice, differently.

    Args:
        photos: the train split.
        sampler: batches of indices for this rank.
        transforms: applied in order to uint8 photos of the final size.
        preprocessing: mean and std for the normalisation that comes last.
        batch_size: the most photos of one batch.
        seed: of augmentation.
        workers: processes that prepare batches; 0 prepares them in this one.
        pin_memory: for CUDA.
        world: of this process.
    """

    def __init__(
        self,
        photos: Dataset,
        sampler: Sampler,
        transforms: Sequence[Transform],
        preprocessing: Preprocessing,
        *,
        batch_size: int,
        seed: int,
        workers: int = 0,
        pin_memory: bool = False,
        world: World = ALONE,
    ) -> None:
        self._sampler = sampler
        self._batch_size = batch_size
        self._workers = workers
        self._pin_memory = pin_memory
        self._world = world
        self.condition_names = condition_names(photos, transforms)
        self._views = _Views(photos, tuple(transforms), self.condition_names, seed)
        self._collate = Collate(preprocessing)

    def __len__(self) -> int:
        return len(self._sampler)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch (0-based) from batch number `start` on."""
        plan = []
        for number, indices in enumerate(self._sampler.batches(epoch)):
            _check_batch(self._sampler, indices, len(self._views))
            first = (number * self._world.size + self._world.rank) * self._batch_size
            plan.append([(index, epoch, first + place) for place, index in enumerate(indices)])
        yield from DataLoader(
            self._views,
            batch_sampler=plan[start:],
            num_workers=self._workers,
            collate_fn=self._collate,
            pin_memory=self._pin_memory,
            worker_init_fn=start_worker,
            generator=torch.Generator(),  # it would draw from the model's own otherwise, and spoil a resume
        )


def condition_names(dataset: Dataset, transforms: Sequence[Transform] = ()) -> tuple[str, ...]:
    """Return "clean" and then, sorted, every other condition that a photo has or a transform makes."""
    found = {item.condition for item in dataset.items}
    found.update(name for part in transforms if isinstance(part, MakesConditions) for name in part.makes)
    return (CLEAN, *sorted(found - {CLEAN}))


@dataclass(frozen=True, slots=True)
class Sample:
    """One photo on its way into a batch: the final uint8 image, label, condition number and dataset index."""

    image: Image
    label: int
    condition: int
    index: int


class _Views(TorchDataset[Sample]):
    """(index, epoch, position) -> Sample, for torch's DataLoader."""

    def __init__(
        self, photos: Dataset, transforms: tuple[Transform, ...], conditions: Sequence[str], seed: int
    ) -> None:
        self._photos, self._transforms, self._seed = photos, transforms, seed
        self._conditions = {name: number for number, name in enumerate(conditions)}

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, key: tuple[int, int, int]) -> Sample:
        index, epoch, position = key
        item = self._photos.items[index]
        view = View(self._photos.read(index), item.condition, item.severity)
        rng = np.random.default_rng((self._seed, epoch, position))
        for transform in self._transforms:
            view = _checked_view(transform, transform(view, rng), view.image.shape, self._conditions)
        return Sample(view.image, item.label, self._conditions[view.condition], index)


def _check_batch(sampler: Sampler, indices: Sequence[int], photos: int) -> None:
    """Refuse a batch that is no list of numbers of photos."""
    if not isinstance(indices, list) or not all(isinstance(index, int) and 0 <= index < photos for index in indices):
        some = f"{indices}"[:_SHOWN]
        raise wrong_return(
            sampler, f"gave a batch that is {shown(indices)} ({some}), not a list of ints below {photos}"
        )


def _checked_view(transform: Transform, view: View, shape: tuple[int, ...], conditions: Container[str]) -> View:
    """Return a transformed photo, or refuse what is none of the shape that went in."""
    if not isinstance(view, View):
        raise wrong_return(transform, f"returned {shown(view)}, not a View")
    image = view.image
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape != shape:
        raise wrong_return(transform, f"returned an image that is {shown(image)}, not uint8 of shape {shape}")
    if view.condition not in conditions:
        raise wrong_return(transform, f"made the condition {view.condition!r}, which its `makes` does not name")
    return view


class Collate:
    """Samples to a Batch, normalised as `preprocessing` says."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self._preprocessing = preprocessing

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Stack B samples of one size into a Batch."""
        images = self._preprocessing.tensor([sample.image for sample in samples])
        labels, conditions, indices = (
            torch.tensor(numbers, dtype=torch.int64)
            for numbers in zip(*((sample.label, sample.condition, sample.index) for sample in samples), strict=True)
        )
        return Batch(images, labels, conditions, indices)


def start_worker(_number: int) -> None:
    """Set up a worker process: one thread, and Ctrl-C is the main process's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    limit_threads()
