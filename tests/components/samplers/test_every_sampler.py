"""What every sampler of this package keeps to, whatever it is for: a new one is tested by being registered."""

from __future__ import annotations

import inspect
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.components.registry import Registry
from metricface.contracts import KINDS, Sampler
from metricface.errors import DataError

REGISTRY = Registry(KINDS["sampler"])
NAMES = [entry.name for entry in REGISTRY.entries() if entry.distribution == "metricface"]


class Photos:
    """Photos of at least four classes, scrambled: `classes` gives each one's numbers of clean and distorted photos."""

    def __init__(self, classes: list[tuple[int, int]], batch_size: int, seed: int) -> None:
        rows = [
            (3 * number + 1, condition)  # labels need not be dense
            for number, (clean, distorted) in enumerate(classes)
            for condition in [0] * clean + [1 + place % 7 for place in range(distorted)]
        ]
        np.random.default_rng(0).shuffle(rows)
        self.labels, self.conditions = np.array(rows, np.int64).reshape(-1, 2).T
        self.labels.flags.writeable = self.conditions.flags.writeable = False
        self.batch_size, self.seed = batch_size, seed

    def __repr__(self) -> str:
        return f"Photos({np.unique(self.labels, return_counts=True)[1]}, {self.batch_size}, {self.seed})"

    def sampler(self, name: str, rank: int = 0, world_size: int = 1, seed: int | None = None) -> Sampler:
        """Make a sampler as build does: with its defaults and with what its signature asks for."""
        offered = {
            "labels": self.labels,
            "conditions": self.conditions,
            "batch_size": self.batch_size,
            "seed": self.seed if seed is None else seed,
            "rank": rank,
            "world_size": world_size,
        }
        component = REGISTRY.load(name)
        asked = inspect.signature(component).parameters
        return component(**{key: value for key, value in offered.items() if key in asked})

    def everywhere(self, name: str, world_size: int, epoch: int) -> list[list[list[int]]]:
        """The batches of each rank, after checking that there are as many as announced."""
        samplers = [self.sampler(name, rank, world_size) for rank in range(world_size)]
        batches = [list(sampler.batches(epoch)) for sampler in samplers]
        assert [len(own) for own in batches] == [len(sampler) for sampler in samplers]
        return batches


def drawn(batches: list[list[int]]) -> list[int]:
    return [index for batch in batches for index in batch]


classes = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(any), min_size=4, max_size=16)
photos = st.builds(
    Photos,
    classes.filter(lambda counts: np.sum(counts) >= 24),  # two orders of fewer could be equal by chance
    batch_size=st.sampled_from([8, 12, 16]),  # P x K with two to four people
    seed=st.integers(0, 2**32 - 1),
)
world_sizes, epochs = st.integers(1, 4), st.integers(0, 9)
every_sampler = pytest.mark.parametrize("name", NAMES)
quickly = settings(max_examples=40, deadline=None)


def test_there_are_samplers_to_test() -> None:
    assert "shuffled" in NAMES


@every_sampler
def test_no_photos_are_refused(name):
    with pytest.raises(DataError) as caught:
        Photos([], batch_size=8, seed=0).sampler(name)
    assert str(caught.value) == f"sampler {name}: there are no photos. Look at [data] root and its split."


@every_sampler
@quickly
@given(photos, world_sizes, epochs)
def test_no_class_is_missing_from_an_epoch_without_a_notice(name, photos, world_size, epoch):
    found = {int(photos.labels[index]) for own in photos.everywhere(name, world_size, epoch) for index in drawn(own)}
    missing = len(set(photos.labels.tolist()) - found)
    notices = getattr(photos.sampler(name), "notices", ())
    assert not missing or any(f"{missing} of " in notice and "left out" in notice for notice in notices)


@every_sampler
@quickly
@given(photos, world_sizes, epochs)
def test_batches_are_lists_of_indices_within_the_bounds(name, photos, world_size, epoch):
    for own in photos.everywhere(name, world_size, epoch):
        for batch in own:
            assert 2 <= len(batch) <= photos.batch_size  # one photo is too few for batch normalisation
            assert all(type(index) is int and 0 <= index < len(photos.labels) for index in batch)


@every_sampler
@quickly
@given(photos, st.integers(2, 4), epochs)
def test_processes_share_one_epoch_in_equal_numbers_of_batches(name, photos, world_size, epoch):
    batches = photos.everywhere(name, world_size, epoch)
    assert len({len(own) for own in batches}) == 1
    # As many batches over all processes as on one, but for rounding: nobody draws the whole epoch for itself.
    assert 0 <= sum(map(len, batches)) - len(photos.sampler(name)) < world_size


@every_sampler
@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_draw_different_photos(name, world_size):
    photos = Photos([(4, 4)] * 24, batch_size=8, seed=1)  # many enough not to be drawn alike by chance
    batches = [{tuple(batch) for batch in own} for own in photos.everywhere(name, world_size, epoch=0)]
    assert len(set.union(*batches)) == sum(map(len, batches))


@every_sampler
@quickly
@given(photos, epochs)
def test_seed_and_epoch_alone_decide(name, photos, epoch):
    sampler = photos.sampler(name)
    first = list(sampler.batches(epoch))
    list(islice(sampler.batches(epoch + 1), 1))  # begun and left
    assert list(sampler.batches(epoch)) == list(photos.sampler(name).batches(epoch)) == first
    assert drawn(list(sampler.batches(epoch + 1))) != drawn(first)
    assert drawn(list(photos.sampler(name, seed=photos.seed + 1).batches(epoch))) != drawn(first)


@every_sampler
@quickly
@given(photos, world_sizes, epochs)
def test_a_run_resumed_at_any_position_sees_the_rest_of_the_epoch(name, photos, world_size, epoch):
    last = world_size - 1
    whole = list(photos.sampler(name, last, world_size).batches(epoch))
    for position in range(len(whole) + 1):
        resumed = photos.sampler(name, last, world_size)
        assert list(islice(resumed.batches(epoch), position, None)) == whole[position:]
