"""Rare classes as often as frequent ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from metricface.components.samplers._dealing import deck
from metricface.components.samplers._refusals import check_photos
from metricface.contracts import Rebalancing

_GOLDEN = (math.sqrt(5) - 1) / 2


class ClassBalanced:
    """Photos drawn with weight 1 / (photos of their class) ** power, as often as promised rather than by chance.

    A class of n photos has the share n ** (1 - power) / (sum of n ** (1 - power) over all classes) of the draws: all
    classes the same with power 1, each its share of the photos with power 0. Every epoch gives it that share of the
    epoch's draws, rounded up or down by turns, which is never less than one: no class is missing from any epoch.

    Within a class photos take turns: it is shuffled, dealt until none is left and shuffled again, and an epoch goes on
    where the one before stopped. So at the end of any epoch, two photos of a class have been drawn equally often since
    the first epoch, or one of them once more. A class with more photos than draws shows some of them in one epoch and
    the others in the next ones; a class with fewer repeats them, each time augmented anew.

    All batches are of one size. An epoch has about as many draws as there are photos: a few more where that is needed
    for equal batches on all processes, or for a batch of two photos, which batch normalisation wants.

    Args:
        labels: (N,) class of every photo.
        batch_size: most photos of a batch.
        seed: of the order, 0 or above.
        rank, world_size: of this process; the epoch's draws, in random order, are dealt to the processes in turn.
        power: 1 for equal classes, 0 for classes as frequent as they are, between them for a tempered balance.

    Attributes:
        notices: how often photos of the smallest and of the largest class are drawn, where classes differ.

    Raises:
        DataError: there are no photos.

    Source:
        The inverse-frequency recipe of torch's WeightedRandomSampler with replacement, which has the same expected
        number of draws of every photo, but leaves to chance which photos and rare classes an epoch misses. The turns
        of rounding are systematic sampling at the multiples of the golden ratio.
    """

    def __init__(
        self,
        *,
        labels: npt.NDArray[np.int64],
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        power: Annotated[float, Ge(0), Le(1)] = 1.0,
    ) -> None:
        check_photos("class-balanced", len(labels))
        self._seed, self._rank, self._world_size = seed, rank, world_size
        _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
        self._photos = np.split(np.argsort(classes, kind="stable"), np.cumsum(counts)[:-1])
        per_rank = math.ceil(len(labels) / world_size)
        self._num_batches = math.ceil(per_rank / batch_size)
        size = max(math.ceil(per_rank / self._num_batches), min(2, batch_size))
        draws = self._num_batches * size * world_size
        ends = np.cumsum((counts / counts.min()) ** (1 - power))
        # On a line as long as the epoch has draws, class c owns the stretch from edge c to edge c + 1.
        self._edges = np.concatenate([[0.0], draws * (ends / ends[-1])])
        self.notices = _notices(counts, np.diff(self._edges) / counts)

    @staticmethod
    def rebalances(arguments: Mapping[str, Any]) -> Rebalancing | None:
        """Return what `power` does to the prior of the classes."""
        power = arguments["power"]
        return Rebalancing(f"power = {power}", power) if power else None

    def __len__(self) -> int:
        return self._num_batches

    def batches(self, epoch: int) -> Iterator[list[int]]:
        """Yield this rank's batches of dataset indices for an epoch (0-based)."""
        before = sum((self._draws(earlier) for earlier in range(epoch)), start=np.zeros(len(self._photos), np.int64))
        turns = zip(range(len(self._photos)), before.tolist(), self._draws(epoch).tolist(), strict=True)
        drawn = np.concatenate([self._dealt(*turn) for turn in turns])
        own = np.random.default_rng((self._seed, epoch)).permutation(drawn)[self._rank :: self._world_size]
        for batch in own.reshape(self._num_batches, -1):
            yield batch.tolist()

    def _draws(self, epoch: int) -> npt.NDArray[np.int64]:
        """Return the number of draws of each class in an epoch: the whole numbers in its stretch of the moved line."""
        return np.diff(np.floor(self._edges + (0.5 + epoch * _GOLDEN) % 1)).astype(np.int64)

    def _dealt(self, place: int, before: int, number: int) -> npt.NDArray[np.int64]:
        """Return the next `number` photos of the class at `place`, of which `before` have been drawn already."""
        photos = self._photos[place]
        first, skipped = divmod(before, len(photos))
        last = (before + number - 1) // len(photos)
        decks = [deck(photos, self._seed, place, turn) for turn in range(first, last + 1)]
        return np.concatenate(decks)[skipped : skipped + number]


def _notices(counts: npt.NDArray[np.int64], often: npt.NDArray[np.float64]) -> tuple[str, ...]:
    """Return how often a photo of the smallest and of the largest class is drawn."""
    small, large = int(counts.argmin()), int(counts.argmax())
    if counts[small] == counts[large]:
        return ()
    return (
        f"each photo of the smallest class ({counts[small]} photos) is drawn {often[small]:.2f} times per epoch on "
        f"average, of the largest ({counts[large]}) {often[large]:.2f} times",
    )
