"""P people x K views, clean and distorted ones of each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge

from metricface.errors import DataError, RecipeError
from metricface.samplers.dealing import plan_epoch, views_of_group
from metricface.samplers.notices import notices_on_groups, notices_on_people


class CrossCondition:
    """Batches of P people with K views each; every clean photo leads one group of K views per epoch.

    A group holds its clean photo first, then K - 1 other views of the person: half of them distorted (the larger half,
    and at least one), half other clean photos, or more of one kind where the other is short; none twice while the
    person has enough. In the course of an epoch a person's distorted photos take turns.

    Groups are laid out person by person, in an order drawn from (seed, epoch), and group i goes to batch i modulo the
    number of batches. So a person stands in a batch once, unless it leads more groups than there are batches, and
    batches differ by at most one group. Then the batches are shuffled and dealt to the processes. Every batch holds
    two people or more; where the numbers do not allow it, people stand in again, led by a distorted photo.

    Args:
        labels: (N,) person of every photo.
        conditions: (N,) condition of every photo, 0 for clean.
        batch_size: most photos of a batch on one process: P x K, a multiple of `views` and at least twice as many.
        seed: of the order, 0 or above.
        rank, world_size: of this process.
        views: K.
        singletons: what happens to people with a single photo: "repeat" shows it K times, each time augmented
            differently; "drop" leaves them out.

    Attributes:
        notices: one line for each departure from the above, with the number of people that it concerns.

    Raises:
        RecipeError: batch_size and views do not go together.
        DataError: there are no photos, or fewer than P people.
    """

    def __init__(
        self,
        *,
        labels: npt.NDArray[np.int64],
        conditions: npt.NDArray[np.int64],
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        views: Annotated[int, Ge(2)] = 4,
        singletons: Literal["drop", "repeat"] = "repeat",
    ) -> None:
        _check_batch_size(batch_size, views)
        self._seed, self._rank, self._world_size, self._views = seed, rank, world_size, views
        _, people = np.unique(labels, return_inverse=True)
        self._parts = 2 * people + (conditions != 0)  # (N,) clean photos of person p: part 2p, distorted ones: 2p + 1
        num_people = int(people.max(initial=-1)) + 1
        self._sizes = np.bincount(self._parts, minlength=2 * num_people)
        counts = self._sizes.reshape(-1, 2)
        self._kept = np.flatnonzero(counts.sum(axis=1) > (singletons == "drop")).tolist()
        _check_people(len(self._kept), num_people, batch_size, views)
        leads = np.maximum(counts[self._kept, 0], 1).tolist()
        self._groups, self._num_batches = plan_epoch(leads, batch_size // views, world_size)
        self.notices = (
            *notices_on_people(counts, singletons),
            *notices_on_groups(leads, self._groups, self._num_batches * world_size),
        )

    def __len__(self) -> int:
        return self._num_batches

    def batches(self, epoch: int) -> Iterator[list[int]]:
        """Yield this process's batches of dataset indices for an epoch (0-based), group after group."""
        rng = np.random.default_rng((self._seed, epoch))
        shuffled = rng.permutation(len(self._parts))
        photos = shuffled[np.argsort(self._parts[shuffled], kind="stable")].tolist()
        parts = [photos[start:end] for start, end in pairwise([0, *np.cumsum(self._sizes).tolist()])]
        layout = [
            (self._kept[place], number)
            for place in rng.permutation(len(self._kept)).tolist()
            for number in range(self._groups[place])
        ]
        everywhere = self._num_batches * self._world_size
        for batch in rng.permutation(everywhere)[self._rank :: self._world_size].tolist():
            groups = (
                views_of_group(parts[2 * person], parts[2 * person + 1], number, self._views)
                for person, number in layout[batch::everywhere]
            )
            yield [index for group in groups for index in group]


def _check_batch_size(batch_size: int, views: int) -> None:
    """Refuse a batch that is not two or more people times `views`."""
    if batch_size % views or batch_size < 2 * views:
        raise RecipeError(
            f"train.batch_size: {batch_size} is not two or more people times {views} views (sampler.views). "
            f"Take {max(2, batch_size // views) * views}, for instance, or other views."
        )


def _check_people(kept: int, found: int, batch_size: int, views: int) -> None:
    """Refuse data with fewer people than a batch holds."""
    if not found:
        raise DataError("sampler cross-condition: there are no photos. Look at [data] root and its split.")
    if kept >= batch_size // views:
        return
    dropped = f" with two photos or more ({found - kept} dropped as singletons)" if kept < found else ""
    way_out = f"Set train.batch_size to at most {kept * views}, or add people." if kept > 1 else "Add people."
    raise DataError(
        f"sampler cross-condition: {batch_size // views} people x {views} views (train.batch_size {batch_size}) "
        f"cannot be filled (got {kept} people{dropped}). {way_out}"
    )
