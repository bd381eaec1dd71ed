from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricface.components.samplers.shuffled import Shuffled
from metricface.errors import DataError


def sampler_of(num_photos: int, batch_size: int, rank: int = 0, world_size: int = 1, **options: object) -> Shuffled:
    labels = np.zeros(num_photos, np.int64)
    return Shuffled(labels=labels, batch_size=batch_size, seed=3, rank=rank, world_size=world_size, **options)


shapes = st.tuples(st.integers(1, 60), st.integers(1, 20), st.integers(1, 4))


@given(shapes, st.integers(0, 5))
def test_ranks_share_an_epoch_that_holds_every_photo(shape, epoch):
    num_photos, batch_size, world_size = shape
    samplers = [sampler_of(num_photos, batch_size, rank, world_size) for rank in range(world_size)]
    per_rank = [list(sampler.batches(epoch)) for sampler in samplers]
    assert [len(batches) for batches in per_rank] == [len(sampler) for sampler in samplers]
    assert len({len(sampler) for sampler in samplers}) == 1
    sizes = {tuple(len(batch) for batch in batches) for batches in per_rank}
    assert len(sizes) == 1
    assert max(max(sizes)) <= batch_size
    assert max(max(sizes)) - min(min(sizes)) <= 1
    drawn = Counter(index for batches in per_rank for batch in batches for index in batch)
    assert set(drawn) == set(range(num_photos))
    fewest = min(2, batch_size)  # of a batch
    assert min(min(sizes)) >= fewest
    even = num_photos + -num_photos % world_size
    assert drawn.total() == max(even, fewest * len(samplers[0]) * world_size)


@given(shapes)
def test_drop_last_gives_full_batches_without_repeats(shape):
    num_photos, batch_size, world_size = shape
    if num_photos < batch_size * world_size:
        with pytest.raises(DataError):
            sampler_of(num_photos, batch_size, world_size=world_size, drop_last=True)
        return
    drawn: list[int] = []
    for rank in range(world_size):
        sampler = sampler_of(num_photos, batch_size, rank, world_size, drop_last=True)
        batches = list(sampler.batches(0))
        assert len(batches) == len(sampler)
        assert {len(batch) for batch in batches} == {batch_size}
        drawn += [index for batch in batches for index in batch]
    assert len(drawn) == len(set(drawn)) == num_photos - num_photos % (batch_size * world_size)


def test_no_batch_is_left_with_a_single_photo():
    assert [len(batch) for batch in sampler_of(33, 32).batches(0)] == [17, 16]


def test_too_few_photos_for_a_full_batch_are_refused():
    with pytest.raises(DataError) as caught:
        sampler_of(7, 8, world_size=2, drop_last=True)
    assert str(caught.value) == (
        "sampler shuffled: 7 photos make no full batch of 8 on 2 processes. "
        "Lower train.batch_size to at most 3 or leave sampler.drop_last out."
    )


def test_sixty_three_photos_by_two_leave_none_alone():
    sampler = sampler_of(63, 2)
    sizes = {len(batch) for epoch in range(3) for batch in sampler.batches(epoch)}
    assert sizes == {2}
    assert len(sampler) == 32
