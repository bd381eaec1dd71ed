"""The checks of samplers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metricface.contracts import CLEAN, Item, Sampler
from metricface.errors import RecipeError
from metricface.machine import ALONE, World
from metricface.testing.engine import Suite, Trial, Violation, check
from metricface.testing.photos import portrait
from metricface.testing.randomness import draws_nothing, seeded
from metricface.testing.refusals import must_refuse

if TYPE_CHECKING:
    from metricface.contracts import Image

_BATCH_SIZES = (8, 12, 10, 18)  # as they are tried: P x K with K of 2, 4, 3, 5, 6 or 9
_PEOPLE = 12
_EPOCHS = 3
_LONG = 20  # epochs in which every photo should have had its turn
_WORLDS = (1, 2, 3)
_CONDITIONS = (CLEAN, "blurred")


class PeoplesPhotos:
    """A dataset of people with 4 to 10 photos each, scrambled, about half of them distorted."""

    notices: Sequence[str] = ()

    def __init__(self, people: int = _PEOPLE) -> None:
        rows = [(person, number % 2) for person in range(people) for number in range(4 + person % 7)]
        np.random.default_rng(0).shuffle(rows)
        self.rows = np.array(rows, np.int64).reshape(-1, 2)
        self.label_names = tuple(f"person {number}" for number in range(people))

    @cached_property
    def items(self) -> Sequence[Item]:
        """What is known of the photos."""
        return [
            Item(Path(f"{label}/{place}.png"), label, _CONDITIONS[condition], identity=f"person {label}")
            for place, (label, condition) in enumerate(self.rows.tolist())
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: int) -> Image:
        """Return a drawn face."""
        return portrait(index, 32, 32)


@dataclass(frozen=True, slots=True)
class SamplerOnTrial:
    """A sampler, the photos that it draws from, and a batch size that it takes."""

    trial: Trial
    photos: PeoplesPhotos
    batch_size: int

    def make(self, world: World = ALONE, seed: int = 0) -> Sampler:
        """Make the sampler of one process."""
        offered: dict[str, Any] = {"dataset": self.photos, "batch_size": self.batch_size, "seed": seed}
        offered["condition_names"] = _CONDITIONS
        labels, conditions = (self.photos.rows[:, column].copy() for column in (0, 1))
        with seeded():
            made: Sampler = self.trial.make({**offered, "labels": labels, "conditions": conditions, **world.offered()})
        return made

    def epoch(self, epoch: int, world: World = ALONE, seed: int = 0) -> list[list[int]]:
        """Return the batches of a new sampler."""
        with seeded():
            return list(self.make(world, seed).batches(epoch))

    def __str__(self) -> str:
        return f"{len(self.photos)} photos of {len(self.photos.label_names)} people, batch_size {self.batch_size}"


def prepare(trial: Trial) -> SamplerOnTrial:
    """Return the sampler with the first batch size that it does not refuse."""
    refusals = []
    for batch_size in _BATCH_SIZES:
        tried = SamplerOnTrial(trial, PeoplesPhotos(), batch_size)
        try:
            tried.make()
        except RecipeError as error:
            refusals.append(error)
        else:
            return tried
    raise refusals[0]


@check(
    "length", why="The schedule and the progress bar count on it, and a process with fewer batches stops the others."
)
def length(on: SamplerOnTrial) -> None:
    """Every epoch has exactly len(sampler) batches, one or more."""
    for world_size in _WORLDS if on.trial.asks_for("world_size") else (1,):
        sampler = on.make(World(0, world_size))
        for epoch in range(_EPOCHS):
            found = len(list(sampler.batches(epoch)))
            if found != len(sampler) or not found:
                raise Violation(
                    f"{on}, world_size {world_size}: {found} batches in epoch {epoch}, len() is {len(sampler)}"
                )


@check("batches", why="The loader looks photos up by them, and one too many does not fit the memory of the device.")
def batches(on: SamplerOnTrial) -> None:
    """A batch is a list of Python ints that are indices of photos, one or more and at most batch_size."""
    for number, batch in enumerate(on.epoch(0)):
        where = f"{on}: batch {number}"
        if not isinstance(batch, list) or not all(type(index) is int for index in batch):
            kinds = sorted({type(index).__name__ for index in batch})
            raise Violation(f"{where} is a {type(batch).__name__} of {', '.join(kinds)}")
        if not 1 <= len(batch) <= on.batch_size:
            raise Violation(f"{where} has {len(batch)} photos")
        if not all(0 <= index < len(on.photos) for index in batch):
            raise Violation(f"{where} has the indices {min(batch)} to {max(batch)}")


@check("single", why="Batch normalisation cannot train on a batch of one photo, and the epoch ends there.")
def single(on: SamplerOnTrial) -> None:
    """No batch has a single photo, also where one is left over after the others."""
    people = next(number for number in itertools.count(_PEOPLE) if len(PeoplesPhotos(number)) % on.batch_size == 1)
    odd = replace(on, photos=PeoplesPhotos(people))
    for number, batch in enumerate(odd.epoch(0)):
        if len(batch) == 1:
            raise Violation(f"{odd}: batch {number} has one photo")


@check("coverage", why="A person or photo that is never drawn is never learnt, and nothing in a report shows it.")
def coverage(on: SamplerOnTrial) -> None:
    """No class is missing from an epoch, and in 20 epochs every photo is drawn."""
    labels, sampler, seen = on.photos.rows[:, 0], on.make(), set[int]()
    for epoch in range(_LONG):
        drawn = {index for batch in sampler.batches(epoch) for index in batch}
        missing = sorted(set(labels.tolist()) - {int(labels[index]) for index in drawn})
        if missing:
            raise Violation(f"{on}: epoch {epoch} has no photo of class {missing[0]}")
        seen |= drawn
    never = sorted(set(range(len(on.photos))) - seen)
    if never:
        raise Violation(f"{on}: {len(never)} photos are not drawn in {_LONG} epochs, the first is {never[0]}")


@check("seed", why="A run is repeated by its seed, and epochs in one order teach the order.")
def seed(on: SamplerOnTrial) -> None:
    """Seed and epoch decide: the same again for both, another order for another seed or another epoch."""
    sampler = on.make()
    first = list(sampler.batches(0))
    list(islice(sampler.batches(1), 1))  # begun and left
    if list(sampler.batches(0)) != first:
        raise Violation(f"{on}: epoch 0 has other batches when it is asked for again")
    if on.epoch(0) != first:
        raise Violation(f"{on}: epoch 0 of a second sampler with the seed of the first has other batches")
    if on.epoch(1) == first:
        raise Violation(f"{on}: epoch 1 has the batches of epoch 0")
    if on.epoch(0, seed=1) == first:
        raise Violation(f"{on}: seed 1 gives the batches of seed 0")


@check("ranks", why="Processes that draw the same photos do the same work twice, and unequal ones wait for ever.")
def ranks(on: SamplerOnTrial) -> None:
    """Processes have equal numbers of batches, together about as many as a single one, and different ones."""
    if not (on.trial.asks_for("rank") and on.trial.asks_for("world_size")):
        raise Violation("it asks for no rank and world_size, so every process would draw the whole epoch")
    alone = len(on.epoch(0))
    for world_size in _WORLDS[1:]:
        own = [on.epoch(0, World(rank, world_size)) for rank in range(world_size)]
        counts = [len(part) for part in own]
        where = f"{on}, world_size {world_size}"
        if len(set(counts)) > 1 or not alone <= sum(counts) < alone + world_size:
            raise Violation(f"{where}: {counts} batches, and {alone} on a single process")
        if len({tuple(map(tuple, part)) for part in own}) < world_size:
            raise Violation(f"{where}: two processes draw the same batches")


@check("resume", why="A run that was interrupted goes on at its position, with a sampler that has done nothing yet.")
def resume(on: SamplerOnTrial) -> None:
    """A new sampler, asked for an epoch at any position, goes on as one that did all before it."""
    used = on.make()
    list(used.batches(0))
    whole = list(used.batches(1))
    for position in range(len(whole) + 1):
        if list(islice(on.make().batches(1), position, None)) != whole[position:]:
            raise Violation(f"{on}: epoch 1 goes on differently at position {position}")


@check("no photos", why="An empty split is a mistake in data.root, and the message should say so.")
def no_photos(on: SamplerOnTrial) -> None:
    """Without photos it is refused by a MetricFaceError."""
    empty = SamplerOnTrial(on.trial, PeoplesPhotos(people=0), on.batch_size)
    must_refuse(lambda: list(empty.make().batches(0)), "no photos")


@check("random state", why="A draw from a global generator changes every draw after it, and spoils a resume.")
def random_state(on: SamplerOnTrial) -> None:
    """It draws from no global random number generator and seeds none."""
    sampler = on.make()
    draws_nothing(lambda: list(sampler.batches(0)), str(on))


@check("inputs", why="The loader uses the same arrays.")
def inputs(on: SamplerOnTrial) -> None:
    """Labels, conditions and the items of the dataset are not edited."""
    labels, conditions = (on.photos.rows[:, column].copy() for column in (0, 1))
    offered: dict[str, Any] = {"dataset": on.photos, "batch_size": on.batch_size, "seed": 0}
    offered["condition_names"] = _CONDITIONS
    sampler = on.trial.make({**offered, "labels": labels, "conditions": conditions, **ALONE.offered()})
    list(sampler.batches(0))
    for column, (name, given) in enumerate({"labels": labels, "conditions": conditions}.items()):
        if not np.array_equal(given, on.photos.rows[:, column]):
            raise Violation(f"{on}: {name} are edited in place")
    untouched = PeoplesPhotos(len(on.photos.label_names))
    if on.photos.items != untouched.items or not np.array_equal(on.photos.rows, untouched.rows):
        raise Violation(f"{on}: the items of the dataset are edited in place")


SUITE = Suite(
    prepare,
    (length, batches, single, coverage, seed, ranks, resume, no_photos, random_state, inputs),
)
