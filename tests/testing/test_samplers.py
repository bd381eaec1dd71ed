"""Every check of a sampler finds the flaw that it is for, and nothing in a good sampler."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from support.flaws import GENERAL, Flaws, assert_found, assert_good, exempt, own_checks

from metricface.contracts import Dataset
from metricface.errors import DataError, RecipeError
from metricface.testing import check_sampler, examine


class Dealt:
    """All photos in random order, a fixed number in a batch, dealt to the processes.

    Args:
        labels: (N,) class of every photo.
        batch_size: photos of a batch.
        seed: of the order.
        rank, world_size: of this process.
        batches_left_out: of every epoch.
    """

    def __init__(
        self,
        *,
        labels: np.ndarray,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        batches_left_out: int = 0,
    ) -> None:
        if not len(labels):
            raise DataError("sampler dealt: there are no photos.")
        self.labels, self.batch_size, self.seed = labels, batch_size, seed
        self.rank, self.world_size, self.batches_left_out = rank, world_size, batches_left_out

    def __len__(self) -> int:
        return -(-len(self.labels) // (self.batch_size * self.world_size)) - self.batches_left_out

    def batches(self, epoch: int) -> Iterator[list[int]]:
        order = self.order(epoch)
        own = np.resize(order, len(self) * self.world_size * self.batch_size)[self.rank :: self.world_size]
        for batch in own.reshape(len(self), self.batch_size):
            yield batch.tolist()

    def order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng((self.seed, epoch)).permutation(len(self.labels))


def flawed(**members: object) -> type:
    return type("Flawed", (Dealt,), {"__doc__": Dealt.__doc__, **members})


def batches(change: object) -> type:
    """A sampler whose batches are changed: (self, batch, number) -> batch."""

    def changed(self: Dealt, epoch: int) -> Iterator[list[int]]:
        for number, batch in enumerate(Dealt.batches(self, epoch)):
            yield change(self, batch, number)

    return flawed(batches=changed)


def one_left_over(self: Dealt, epoch: int) -> Iterator[list[int]]:
    order = self.order(epoch).tolist()
    yield from (order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size))


class Positional(Dealt):
    """A parameter by position."""

    def __init__(self, labels: np.ndarray) -> None: ...


class BadDefault(Dealt):
    """A default of another type."""

    def __init__(self, *, labels: np.ndarray, views: int = 1.5) -> None: ...


class NoUnit(Dealt):
    """A group of nobody knows what.

    Args:
        labels: (N,) class of every photo.
        group_size: how large it is.
    """

    def __init__(self, *, labels: np.ndarray, group_size: int = 4) -> None:
        super().__init__(labels=labels, batch_size=8, seed=0)


class Unmakeable(Dealt):
    """Cannot be made."""

    def __init__(self, *, labels: np.ndarray) -> None:
        raise ValueError("no licence")


class Alone(Dealt):
    """Knows one process only."""

    def __init__(self, *, labels: np.ndarray, batch_size: int, seed: int) -> None:
        super().__init__(labels=labels, batch_size=batch_size, seed=seed)


class Remembering(Dealt):
    """Goes on from the epoch that it did last, whatever it is asked for."""

    done = 0

    def order(self, epoch: int) -> np.ndarray:
        self.done += 1
        return super().order(self.done)


class Careless(Dealt):
    """Takes no photos for photos."""

    def __init__(self, *, labels: np.ndarray, batch_size: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.labels, self.batch_size, self.seed, self.rank, self.world_size = labels, batch_size, seed, rank, world_size
        self.batches_left_out = 0


def one_short(self: Dealt) -> int:
    return Dealt.__len__(self) + 1


def of_one_class(self: Dealt, epoch: int) -> np.ndarray:
    return np.flatnonzero(self.labels == 3)


def in_order(self: Dealt, epoch: int) -> np.ndarray:
    return np.random.default_rng(self.seed).permutation(len(self.labels))


def of_everyone(self: Dealt, epoch: int) -> Iterator[list[int]]:
    self.rank = 0
    yield from Dealt.batches(self, epoch)


def drawing(self: Dealt, epoch: int) -> np.ndarray:
    np.random.seed(epoch)
    return np.random.permutation(len(self.labels))


def editing(self: Dealt, epoch: int) -> np.ndarray:
    self.labels.sort()
    return Dealt.order(self, epoch)


class OfItems(Dealt):
    """Sorts the photos that it was asked to deal."""

    def __init__(self, *, dataset: Dataset, labels: np.ndarray, batch_size: int, seed: int) -> None:
        super().__init__(labels=labels, batch_size=batch_size, seed=seed)
        dataset.items.sort(key=lambda item: item.label)


FLAWS: Flaws = {
    "contract": (Positional, "parameter 'labels' is not keyword-only"),
    "arguments": (BadDefault, "the default of 'views' is refused"),
    "docstring": (flawed(__doc__="Photos in an order."), "no 'labels' under Args"),
    "units": (NoUnit, "'group_size' does not say whether it is pixel"),
    "exemptions": (exempt(Dealt, rank="why not"), "no check 'rank'. Did you mean \"ranks\"?"),
    "made": (Unmakeable, "ValueError: no licence"),
    "length": (flawed(__len__=one_short, batches=lambda self, epoch: iter([[0]])), "1 batches in epoch 0, len() is"),
    "batches": (batches(lambda self, batch, number: np.array(batch)), "batch 0 is a ndarray of int64"),
    "single": (flawed(batches=one_left_over), "batch 14 has one photo"),
    "coverage": (flawed(order=of_one_class), "epoch 0 has no photo of class 0"),
    "seed": (flawed(order=in_order), "epoch 1 has the batches of epoch 0"),
    "ranks": (flawed(batches=of_everyone), "world_size 2: two processes draw the same batches"),
    "resume": (Remembering, "epoch 1 goes on differently at position 0"),
    "no photos": (Careless, "no photos: "),
    "random state": (flawed(order=drawing), "the global generator of numpy.random is in another state afterwards"),
    "inputs": (flawed(order=editing), "labels are edited in place"),
}


def test_a_good_sampler_passes_every_check() -> None:
    assert_good("sampler", Dealt)
    check_sampler(Dealt)


@pytest.mark.parametrize("check", FLAWS)
def test_every_check_finds_its_flaw(check: str) -> None:
    assert_found("sampler", check, FLAWS)


def test_no_check_is_without_a_flaw() -> None:
    assert set(FLAWS) == GENERAL | own_checks("sampler")


@pytest.mark.parametrize(
    ("component", "check", "said"),
    [
        (Alone, "ranks", "it asks for no rank and world_size"),
        (OfItems, "inputs", "the items of the dataset are edited in place"),
        (Remembering, "seed", "epoch 0 has other batches when it is asked for again"),
        (flawed(order=lambda self, e: np.random.default_rng(e).permutation(len(self.labels))), "seed", "seed 1 gives"),
        (batches(lambda self, batch, number: [999]), "batches", "batch 0 has the indices 999 to 999"),
        (batches(lambda self, batch, number: batch * 2), "batches", "batch 0 has 16 photos"),
        (batches(lambda self, batch, number: [max(5, index) for index in batch]), "coverage", "5 photos are not drawn"),
    ],
)
def test_what_else_a_check_finds(component: type, check: str, said: str) -> None:
    found = {it.name: it.said for it in examine("sampler", component).failed}
    assert said in found[check]


class InTwelves(Dealt):
    """Takes batches of four times three only.

    Args:
        labels: (N,) class of every photo.
        batch_size: photos of a batch.
        seed: of the order.
        rank, world_size: of this process.
    """

    def __init__(self, *, labels: np.ndarray, batch_size: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        if batch_size % 6:
            raise RecipeError(f"train.batch_size: no multiple of 6 (got {batch_size})")
        super().__init__(labels=labels, batch_size=batch_size, seed=seed, rank=rank, world_size=world_size)


def test_a_sampler_gets_a_batch_size_that_it_takes() -> None:
    check_sampler(InTwelves)
