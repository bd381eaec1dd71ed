"""Dealing people and their photos: how many groups an epoch needs, the batch of each group, the photos in it."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt


def plan_epoch(groups: Sequence[int], per_batch: int, world_size: int) -> tuple[list[int], int]:
    """Return the groups of each person, stand-ins included, and the number of batches per process.

    With N batches over all processes, laid out person by person and dealt in turn, a batch of s groups takes every
    N-th of (s - 1) * N + 1 groups in a row. It holds two people if no person has more than (s - 1) * N of them. So the
    smallest batch needs s = 1 + ceil(largest / N) groups, and people with the fewest groups stand in for the missing.
    Ordinarily none are missing: N = ceil(groups / per_batch) then, rounded up to the same number on each process.

    Args:
        groups: for each person, how many groups it leads in an epoch, 1 or more.
        per_batch: most groups of a batch, 2 or more.
        world_size: number of processes.
    """
    total, largest = sum(groups), max(groups)
    batches = max(math.ceil(total / (per_batch * world_size)), math.ceil(largest / ((per_batch - 1) * world_size)))
    everywhere = batches * world_size
    smallest = 1 + math.ceil(largest / everywhere)
    heap = [(count, person) for person, count in enumerate(groups)]
    heapq.heapify(heap)
    for _ in range(smallest * everywhere - total):
        count, person = heap[0]
        heapq.heapreplace(heap, (count + 1, person))
    return [count for count, _ in sorted(heap, key=lambda entry: entry[1])], batches


def deal_groups(
    groups: Sequence[int], num_batches: int, rank: int, world_size: int, rng: np.random.Generator
) -> Iterator[list[tuple[int, int]]]:
    """Yield one process's batches of an epoch, each a list of (place of the person in `groups`, number of its group).

    Groups are laid out person by person, people in random order, and group i goes to batch i modulo the number of
    batches of all processes. Then the batches are shuffled and dealt to the processes.

    Args:
        groups: of each person, see plan_epoch.
        num_batches: of each process.
        rank: of this process, below `world_size`.
        world_size: how many processes there are.
        rng: in the same state on every process.
    """
    layout = [(place, number) for place in rng.permutation(len(groups)).tolist() for number in range(groups[place])]
    everywhere = num_batches * world_size
    for batch in rng.permutation(everywhere)[rank::world_size].tolist():
        yield layout[batch::everywhere]


def deck(photos: npt.NDArray[np.int64], seed: int, owner: int, number: int) -> npt.NDArray[np.int64]:
    """Return the photos of a class or person in the order in which its deck `number` (0-based) is dealt."""
    return np.random.default_rng((seed, owner, number + 1)).permutation(photos)  # 0 would be epoch `owner`'s stream


def views_of_group(clean: Sequence[int], distorted: Sequence[int], number: int, views: int) -> list[int]:
    """Return group `number` of a person: `views` of its photos, see CrossCondition.

    Args:
        clean: the person's clean photos in this epoch's order.
        distorted: the others in this epoch's order; not both are empty.
        number: of the group among the person's. Photo `number` of `clean` leads it; from len(clean) on, the groups are
            stand-ins, led by a distorted photo if there is one.
        views: K.
    """
    if not clean:
        clean, distorted = distorted, ()
    wanted = views - 1
    num_distorted = min(len(distorted), max(math.ceil(wanted / 2), wanted - (len(clean) - 1)))
    num_clean = min(len(clean) - 1, wanted - num_distorted)
    leader, *others = (clean[(number + place) % len(clean)] for place in range(1 + num_clean))
    turn = number * num_distorted
    group = [leader, *(distorted[(turn + place) % len(distorted)] for place in range(num_distorted)), *others]
    if number >= len(clean) and len(group) > 1:
        group[0], group[1] = group[1], group[0]
    return [group[place % len(group)] for place in range(views)]
