"""P people x K photos, every person equally often."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge

from metricface.components.samplers._dealing import deal_groups, deck, plan_epoch, views_of_group
from metricface.components.samplers._notices import notices_on_groups, notices_on_singletons
from metricface.components.samplers._refusals import check_people, check_photos, check_views, refused_views
from metricface.contracts import Rebalancing


class IdentityBalanced:
    """Batches of P people with K photos each, whatever their condition; people with many photos come no more often.

    Every person leads the same number of groups of K photos per epoch, one or more, so that an epoch draws about as
    many photos as there are. No photo stands in a group twice while the person has K. A person's photos are shuffled
    and dealt group by group, its first ones again where the last group is short, and then shuffled anew; an epoch goes
    on where the one before stopped. So every person is in every epoch, and every photo in every ceil(n / K) groups of
    its person of n photos.

    Groups are dealt to batches as in cross-condition: a person stands in a batch once, batches differ by at most one
    group and hold two people or more. Where the numbers do not allow it, people stand in with more groups.

    Args:
        labels: (N,) person of every photo.
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

    Source:
        P x K batches as in arXiv 1703.07737 section 2, where photos are drawn by chance and not in turn.
    """

    def __init__(
        self,
        *,
        labels: npt.NDArray[np.int64],
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        views: Annotated[int, Ge(2)] = 4,
        singletons: Literal["drop", "repeat"] = "repeat",
    ) -> None:
        check_views(batch_size, views)
        check_photos("identity-balanced", len(labels))
        self._seed, self._rank, self._world_size, self._views = seed, rank, world_size, views
        _, people, sizes = np.unique(labels, return_inverse=True, return_counts=True)
        photos = np.split(np.argsort(people, kind="stable"), np.cumsum(sizes)[:-1])
        self._photos = [own for own in photos if len(own) > (singletons == "drop")]
        check_people("identity-balanced", len(self._photos), len(sizes), batch_size, views)
        each = max(1, round(sum(map(len, self._photos)) / (views * len(self._photos))))
        leads = [each] * len(self._photos)
        self._groups, self._num_batches = plan_epoch(leads, batch_size // views, world_size)
        self.notices = (
            *notices_on_singletons(sizes, singletons),
            *notices_on_groups(leads, self._groups, self._num_batches * world_size),
        )

    @staticmethod
    def rebalances(arguments: Mapping[str, Any]) -> Rebalancing | None:
        """Return that all people are drawn equally often."""
        return Rebalancing("all people equally often", 1.0)

    @staticmethod
    def refusals(arguments: Mapping[str, Any], batch_size: int) -> Mapping[str, str]:
        """Return what is wrong with a batch that holds less than two people; see HasRefusals."""
        return refused_views(batch_size, arguments["views"])

    def __len__(self) -> int:
        return self._num_batches

    def batches(self, epoch: int) -> Iterator[list[int]]:
        """Yield this process's batches of dataset indices for an epoch (0-based), group after group."""
        rng = np.random.default_rng((self._seed, epoch))
        for batch in deal_groups(self._groups, self._num_batches, self._rank, self._world_size, rng):
            groups = (self._group(place, epoch * self._groups[place] + number) for place, number in batch)
            yield [index for group in groups for index in group]

    def _group(self, place: int, number: int) -> list[int]:
        """Return group `number` of the person at `place`, counted from the first epoch on."""
        photos = self._photos[place]
        turn, group = divmod(number, math.ceil(len(photos) / self._views))
        return views_of_group(deck(photos, self._seed, place, turn).tolist(), (), group * self._views, self._views)
