"""Photos as squares of one size: a split, read once and kept where memory allows, or any files."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from metricface.contracts import Dataset, Item, Progress
from metricface.data.images import limit_threads, read_image
from metricface.errors import DataError
from metricface.machine import usable_cores

if TYPE_CHECKING:
    from metricface.contracts import Image
    from metricface.model.preprocessing import Preprocessing

MOST_UNREADABLE = 0.05
_LISTED = 5


class Photos:
    """A dataset whose photos have all been read once: square, of one size, and known to be readable.

    It is a Dataset itself. Decoded photos stay in memory when all of them fit the budget; otherwise every use reads
    the file again, and a notice says so. Files that cannot be read are left out and listed in the notices, so that no
    epoch can meet one; see too_many.

    Args:
        dataset: where the photos come from.
        preprocessing: how a photo becomes a square.
        budget: bytes of memory for decoded photos.
        progress: called with (photos read, photos in all).

    Raises:
        DataError: no photo can be read, or too many cannot.
    """

    def __init__(
        self, dataset: Dataset, preprocessing: Preprocessing, budget: int, progress: Progress | None = None
    ) -> None:
        limit_threads()
        self._dataset = dataset
        self._preprocessing = preprocessing
        size = preprocessing.image_size
        wanted = len(dataset) * size * size * 3
        self._memory: npt.NDArray[np.uint8] | None = None
        if wanted <= budget:
            self._memory = np.empty((len(dataset), size, size, 3), np.uint8)
        reasons = self._read_all(progress)
        self._kept = [index for index, reason in enumerate(reasons) if reason is None]
        self.items: Sequence[Item] = [dataset.items[index] for index in self._kept]
        self.label_names = dataset.label_names
        self.notices: Sequence[str] = [
            *dataset.notices,
            *refuse_or_tell([reason for reason in reasons if reason is not None], len(dataset)),
            *([] if self._memory is not None else [_no_room(len(dataset), wanted)]),
        ]

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the decoded photos take."""
        return 0 if self._memory is None else self._memory.nbytes

    def read(self, index: int) -> Image:
        """Return photo `index` as uint8 (S, S, 3) RGB, S the image size."""
        number = self._kept[index]
        if self._memory is not None:
            image: Image = self._memory[number]
            return image
        return self._prepared(number)

    def _prepared(self, number: int) -> Image:
        return self._preprocessing.square(self._dataset.read(number))

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


class PhotoFiles:
    """Photos by their paths alone: square, of one size, each read whenever it is asked for.

    Args:
        paths: the files.
        preprocessing: how a photo becomes a square.
    """

    def __init__(self, paths: Sequence[Path], preprocessing: Preprocessing) -> None:
        limit_threads()
        self._paths, self._preprocessing = paths, preprocessing

    def __len__(self) -> int:
        return len(self._paths)

    def read(self, index: int) -> Image:
        """Return photo `index` as uint8 (S, S, 3) RGB, S the image size.

        Raises:
            DataError: it cannot be read; names the file and the reason.
        """
        return self._preprocessing.square(read_image(self._paths[index]))


class SomePhotos:
    """Some photos of a dataset, as a dataset: square, of one size, each read whenever it is asked for.

    Args:
        dataset: where the photos come from.
        numbers: which of them, in order.
        preprocessing: how a photo becomes a square.
    """

    def __init__(self, dataset: Dataset, numbers: Sequence[int], preprocessing: Preprocessing) -> None:
        limit_threads()
        self._dataset, self._numbers, self._preprocessing = dataset, numbers, preprocessing
        self.items: Sequence[Item] = [dataset.items[number] for number in numbers]
        self.label_names = dataset.label_names
        self.notices: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self._numbers)

    def read(self, index: int) -> Image:
        """Return photo `index` as uint8 (S, S, 3) RGB, S the image size.

        Raises:
            DataError: it cannot be read; names the file and the reason.
        """
        return self._preprocessing.square(self._dataset.read(self._numbers[index]))


def too_many(unreadable: int, total: int) -> bool:
    """Whether photos are too many to leave out: more than one and than 5 % of all, or all of them."""
    return unreadable > max(1, MOST_UNREADABLE * total) or unreadable == total


def _no_room(photos: int, wanted: int) -> str:
    return (
        f"{photos} photos need {wanted / 2**30:.1f} GiB decoded and do not fit the cache: "
        "each use decodes the file. Raise data.cache_gib if there is memory."
    )


def refuse_or_tell(reasons: Sequence[str], total: int) -> tuple[str, ...]:
    """Return a notice that lists unreadable photos, or refuse when there are too many."""
    if not reasons:
        return ()
    listed = "; ".join(reasons[:_LISTED]) + (f"; and {len(reasons) - _LISTED} more" * (len(reasons) > _LISTED))
    if too_many(len(reasons), total):
        raise DataError(
            f"{len(reasons)} of {total} photos cannot be read, more than {MOST_UNREADABLE:.0%}: {listed}. "
            "Fix or remove them."
        )
    are = "is" if len(reasons) == 1 else "are"
    return (f"{len(reasons)} of {total} photos cannot be read and {are} left out: {listed}",)
