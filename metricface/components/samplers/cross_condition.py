"""P people x K views, clean and distorted ones of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge

from metricface.components.samplers._dealing import deal_groups, plan_epoch, views_of_group
from metricface.components.samplers._notices import (
    CLEAN_ALONE,
    notices_on_conditions,
    notices_on_groups,
    notices_on_singletons,
)
from metricface.components.samplers._refusals import check_people, check_photos, check_views, refused_views
from metricface.components.samplers.identity_balanced import IdentityBalanced


class CrossCondition:
    """Batches of P people with K views each; every clean photo leads one group of K views per epoch.

    A group holds its clean photo first, then K - 1 other views of the person: half of them distorted (the larger half,
    and at least one), half other clean photos, or more of one kind where the other is short; none twice while the
    person has enough. In the course of an epoch a person's distorted photos take turns.

    Groups are laid out person by person, in an order drawn from (seed, epoch), and group i goes to batch i modulo the
    number of batches. So a person stands in a batch once, unless it leads more groups than there are batches, and
    batches differ by at most one group. Then the batches are shuffled and dealt to the processes. Every batch holds
    two people or more; where the numbers do not allow it, people stand in again, led by a distorted photo.

    Where no photo is distorted and no transform distorts one, there is no condition to cross: the batches are those of
    identity-balanced.

    Args:
        labels: (N,) person of every photo.
        conditions: (N,) condition of every photo, 0 for clean.
        condition_names: what those numbers stand for, and the conditions that transforms make; "clean" is the first.
        batch_size: most photos of a batch on one process: P x K, a multiple of `views` and at least twice as many.
        seed: of the order, 0 or above.
        rank, world_size: of this process.
        views: K, photos of a person in a group.
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
        condition_names: Sequence[str] = (),
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        views: Annotated[int, Ge(2)] = 4,
        singletons: Literal["drop", "repeat"] = "repeat",
    ) -> None:
        check_views(batch_size, views)
        check_photos("cross-condition", len(labels))
        self._seed, self._rank, self._world_size, self._views = seed, rank, world_size, views
        _, people = np.unique(labels, return_inverse=True)
        self._parts = 2 * people + (conditions != 0)  # (N,) clean photos of person p: part 2p, distorted ones: 2p + 1
        num_people = int(people.max()) + 1
        self._sizes = np.bincount(self._parts, minlength=2 * num_people)
        counts = self._sizes.reshape(-1, 2)
        self._kept = np.flatnonzero(counts.sum(axis=1) > (singletons == "drop")).tolist()
        check_people("cross-condition", len(self._kept), num_people, batch_size, views)
        self._balanced: IdentityBalanced | None = None
        if not conditions.any() and len(condition_names) < 2:
            shape: dict[str, Any] = {"batch_size": batch_size, "views": views, "singletons": singletons}
            self._balanced = IdentityBalanced(labels=labels, seed=seed, rank=rank, world_size=world_size, **shape)
            self._num_batches = len(self._balanced)
            self.notices: tuple[str, ...] = (CLEAN_ALONE, *self._balanced.notices)
            return
        leads = np.maximum(counts[self._kept, 0], 1).tolist()
        self._groups, self._num_batches = plan_epoch(leads, batch_size // views, world_size)
        self.notices = (
            *notices_on_singletons(counts.sum(axis=1), singletons),
            *notices_on_conditions(counts),
            *notices_on_groups(leads, self._groups, self._num_batches * world_size),
        )

    @staticmethod
    def refusals(arguments: Mapping[str, Any], batch_size: int) -> Mapping[str, str]:
        """Return what is wrong with a batch that holds less than two people; see HasRefusals."""
        return refused_views(batch_size, arguments["views"])

    def __len__(self) -> int:
        return self._num_batches

    def batches(self, epoch: int) -> Iterator[list[int]]:
        """Yield this process's batches of dataset indices for an epoch (0-based), group after group."""
        if self._balanced is not None:
            yield from self._balanced.batches(epoch)
            return
        rng = np.random.default_rng((self._seed, epoch))
        shuffled = rng.permutation(len(self._parts))
        photos = shuffled[np.argsort(self._parts[shuffled], kind="stable")].tolist()
        parts = [photos[start:end] for start, end in pairwise([0, *np.cumsum(self._sizes).tolist()])]
        for batch in deal_groups(self._groups, self._num_batches, self._rank, self._world_size, rng):
            people = [(2 * self._kept[place], number) for place, number in batch]
            groups = (views_of_group(parts[own], parts[own + 1], number, self._views) for own, number in people)
            yield [index for group in groups for index in group]
