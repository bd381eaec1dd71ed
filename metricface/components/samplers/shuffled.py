"""Every photo once per epoch, in random order."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from metricface.components.samplers._refusals import check_photos
from metricface.errors import DataError


class Shuffled:
    """All photos once per epoch, in an order drawn from (seed, epoch), dealt to ranks and batches.

    The batches of a rank differ by at most one photo, and none holds a single one, which batch normalisation could not
    take, unless batch_size is 1. All ranks get the same number of photos: the first few of the epoch stand in again at
    its end where the number of ranks does not divide the number of photos, or a batch would hold a single one.

    Args:
        labels: (N,) class of every photo; only their number matters here.
        batch_size: most photos of a batch.
        seed: of the order, 0 or above.
        rank, world_size: of this process.
        drop_last: full batches only; what is left over, other photos in every epoch, is left out.

    Raises:
        DataError: there are no photos, or too few for one full batch under `drop_last`.
    """

    def __init__(
        self,
        *,
        labels: npt.NDArray[np.int64],
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
    ) -> None:
        check_photos("shuffled", len(labels))
        self._num_photos = len(labels)
        self._seed, self._rank, self._world_size = seed, rank, world_size
        self._per_rank = math.ceil(len(labels) / world_size)
        self._num_batches = math.ceil(self._per_rank / batch_size)
        self._per_rank = max(self._per_rank, min(2, batch_size) * self._num_batches)
        if drop_last:
            self._num_batches = len(labels) // (world_size * batch_size)
            self._per_rank = self._num_batches * batch_size
        if not self._num_batches:
            raise DataError(
                f"sampler shuffled: {len(labels)} photos make no full batch of {batch_size} on {world_size} processes. "
                f"Lower train.batch_size to at most {len(labels) // world_size} or leave sampler.drop_last out."
            )

    def __len__(self) -> int:
        return self._num_batches

    def batches(self, epoch: int) -> Iterator[list[int]]:
        """Yield this rank's batches of dataset indices for an epoch (0-based)."""
        order = np.random.default_rng((self._seed, epoch)).permutation(self._num_photos)
        own = np.resize(order, self._per_rank * self._world_size)[self._rank :: self._world_size]  # wraps around
        for batch in np.array_split(own, self._num_batches):
            yield batch.tolist()
