"""From dataset, sampler and transforms to batches."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from metricface.contracts import CLEAN, Batch, Dataset, InputSpec, Item, Sampler, Transform, View
from metricface.data.images import central_crop, limit_threads, resize
from metricface.errors import DataError
from metricface.machine import usable_cores

if TYPE_CHECKING:
    from metricface.contracts import Image

Progress = Callable[[int, int], None]

_MOST_UNREADABLE = 0.05
_LISTED = 5


class Photos:
    """A dataset whose photos have all been read once: square, of one size, and known to be readable.

    It is a Dataset itself. Decoded photos stay in memory when all of them fit the budget; otherwise every use reads
    the file again, and a notice says so. Files that cannot be read are left out, listed in the notices, and refused
    above 5 %, so that no epoch can meet one.

    Args:
        dataset: where the photos come from.
        image_size: side length in pixels.
        budget: bytes of memory for decoded photos.
        progress: called with (photos read, photos in all).
        crop: central share of each side that is kept before resizing.

    Raises:
        DataError: no photo can be read, or more than 5 % cannot.
    """

    def __init__(
        self,
        dataset: Dataset,
        image_size: int,
        budget: int,
        progress: Progress | None = None,
        *,
        crop: float = 1.0,
    ) -> None:
        limit_threads()
        self._dataset = dataset
        self._crop = crop
        self.image_size = image_size
        wanted = len(dataset) * image_size * image_size * 3
        self._memory: npt.NDArray[np.uint8] | None = None
        if wanted <= budget:
            self._memory = np.empty((len(dataset), image_size, image_size, 3), np.uint8)
        reasons = self._read_all(progress)
        self._kept = [index for index, reason in enumerate(reasons) if reason is None]
        self.items: Sequence[Item] = [dataset.items[index] for index in self._kept]
        self.label_names = dataset.label_names
        self.notices: Sequence[str] = [
            *dataset.notices,
            *_refuse_or_tell([reason for reason in reasons if reason is not None], len(dataset)),
            *([] if self._memory is not None else [_no_room(len(dataset), wanted)]),
        ]

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the decoded photos take."""
        return 0 if self._memory is None else self._memory.nbytes

    def read(self, index: int) -> Image:
        """Return photo `index` as uint8 (image_size, image_size, 3) RGB."""
        number = self._kept[index]
        if self._memory is not None:
            image: Image = self._memory[number]
            return image
        return self._prepared(number)

    def _prepared(self, number: int) -> Image:
        return resize(central_crop(self._dataset.read(number), self._crop), self.image_size)

    def _read_all(self, progress: Progress | None) -> list[str | None]:
        """Read every photo once; return why each could not be read, None for those that could."""

        def read(number: int) -> str | None:
            try:
                image = self._prepared(number)
            except DataError as error:
                return str(error)
            if self._memory is not None:
                self._memory[number] = image
            return None

        reasons: list[str | None] = []
        with ThreadPoolExecutor(usable_cores()) as pool:
            for reason in pool.map(read, range(len(self._dataset))):
                reasons.append(reason)
                if progress is not None:
                    progress(len(reasons), len(self._dataset))
        if self._memory is not None:
            self._memory.flags.writeable = False
        return reasons


def _no_room(photos: int, wanted: int) -> str:
    return (
        f"{photos} photos need {wanted / 2**30:.1f} GiB decoded and do not fit the cache: "
        "each use decodes the file. Raise data.cache_gib if there is memory."
    )


def _refuse_or_tell(reasons: Sequence[str], total: int) -> tuple[str, ...]:
    """Return a notice that lists unreadable photos, or refuse when there are too many."""
    if not reasons:
        return ()
    listed = "; ".join(reasons[:_LISTED]) + (f"; and {len(reasons) - _LISTED} more" * (len(reasons) > _LISTED))
    if len(reasons) > _MOST_UNREADABLE * total:
        raise DataError(
            f"{len(reasons)} of {total} photos cannot be read, more than {_MOST_UNREADABLE:.0%}: {listed}. "
            "Mend or remove them."
        )
    return (f"{len(reasons)} of {total} photos cannot be read and are left out: {listed}",)


class TrainLoader:
    """Batches of augmented photos, the same whatever the number of workers and wherever a run was resumed.

    Every photo is augmented with a generator seeded by (seed, epoch, position in the epoch over all ranks), so a
    photo drawn twice is augmented twice, differently.

    Args:
        photos: the train split.
        sampler: batches of indices for this rank.
        transforms: applied in order to uint8 photos of the final size.
        input_spec: mean and std for the normalisation that comes last.
        batch_size: the most photos of one batch.
        seed: of augmentation.
        workers: processes that prepare batches; 0 prepares them in this one.
        pin_memory: for CUDA.
        rank, world_size: of this process.
    """

    def __init__(
        self,
        photos: Dataset,
        sampler: Sampler,
        transforms: Sequence[Transform],
        input_spec: InputSpec,
        *,
        batch_size: int,
        seed: int,
        workers: int = 0,
        pin_memory: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._sampler = sampler
        self._batch_size = batch_size
        self._workers = workers
        self._pin_memory = pin_memory
        self._rank, self._world_size = rank, world_size
        self.condition_names = condition_names(photos, transforms)
        self._views = _Views(photos, tuple(transforms), self.condition_names, seed)
        self._collate = Collate(input_spec)

    def __len__(self) -> int:
        return len(self._sampler)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch (0-based) from batch number `start` on."""
        plan = []
        for number, indices in enumerate(self._sampler.batches(epoch)):
            first = (number * self._world_size + self._rank) * self._batch_size
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
    found.update(name for transform in transforms for name in getattr(transform, "makes", ()))
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

    def __getitem__(self, key: tuple[int, int, int]) -> Sample:
        index, epoch, position = key
        item = self._photos.items[index]
        view = View(self._photos.read(index), item.condition, item.severity)
        rng = np.random.default_rng((self._seed, epoch, position))
        for transform in self._transforms:
            view = transform(view, rng)
        return Sample(view.image, item.label, self._conditions[view.condition], index)


class Collate:
    """Samples to a Batch, normalised with `input_spec`."""

    def __init__(self, input_spec: InputSpec) -> None:
        self._mean = torch.tensor(input_spec.mean).view(1, 3, 1, 1)
        self._std = torch.tensor(input_spec.std).view(1, 3, 1, 1)

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Stack B samples of one size into a Batch."""
        stacked = torch.from_numpy(np.stack([sample.image for sample in samples]))
        images = stacked.permute(0, 3, 1, 2).float().div_(255).sub_(self._mean).div_(self._std)
        labels, conditions, indices = (
            torch.tensor([getattr(sample, name) for sample in samples], dtype=torch.int64)
            for name in ("label", "condition", "index")
        )
        return Batch(images, labels, conditions, indices)


def start_worker(number: int) -> None:
    """Set up a worker process: one thread, and Ctrl-C is the main process's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    limit_threads()
