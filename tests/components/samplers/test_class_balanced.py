from __future__ import annotations

import math
from collections import Counter

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from metricface.components.samplers.class_balanced import ClassBalanced


def labels_of(counts: list[int]) -> np.ndarray:
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))


def drawn(sampler: ClassBalanced, epoch: int) -> list[int]:
    return [index for batch in sampler.batches(epoch) for index in batch]


def expected_draws(counts: list[int], power: float, draws: int) -> np.ndarray:
    """Draws of each class when every photo has the weight 1 / (photos of its class) ** power."""
    weights = [sum(1 / count**power for _ in range(count)) for count in counts]
    return np.array([draws * weight / sum(weights) for weight in weights])


imbalances = st.lists(st.integers(1, 40), min_size=1, max_size=8)
powers = st.sampled_from([0.0, 0.3, 0.5, 1.0])
shapes = st.tuples(st.integers(1, 20), st.integers(1, 4))  # batch size, processes


@given(imbalances, powers, shapes, st.integers(0, 50))
def test_every_epoch_gives_each_class_its_share_rounded_and_never_nothing(counts, power, shape, epoch):
    batch_size, world_size = shape
    labels = labels_of(counts)
    samplers = [
        ClassBalanced(labels=labels, batch_size=batch_size, seed=3, rank=rank, world_size=world_size, power=power)
        for rank in range(world_size)
    ]
    indices = [index for sampler in samplers for index in drawn(sampler, epoch)]
    got = np.bincount(labels[indices], minlength=len(counts))
    expected = expected_draws(counts, power, len(indices))
    assert (np.abs(got - expected) < 1 + 1e-9).all()
    assert got.min() >= 1


@given(imbalances, shapes)
def test_all_batches_are_of_one_size_and_about_as_many_photos_as_there_are(counts, shape):
    batch_size, world_size = shape
    sampler = ClassBalanced(labels=labels_of(counts), batch_size=batch_size, seed=0, rank=0, world_size=world_size)
    [size] = {len(batch) for batch in sampler.batches(0)}
    assert min(2, batch_size) <= size <= batch_size
    assert len(sampler) == math.ceil(sum(counts) / (batch_size * world_size))
    extra = len(sampler) * size * world_size - sum(counts)
    assert 0 <= extra <= max(1, len(sampler)) * 2 * world_size


def test_the_mean_over_epochs_is_the_expectation_of_weighted_drawing():
    counts, epochs = [90, 7, 3], 100
    labels = labels_of(counts)
    sampler = ClassBalanced(labels=labels, batch_size=32, seed=1, power=0.5)
    got = np.bincount(labels[[index for epoch in range(epochs) for index in drawn(sampler, epoch)]]) / epochs
    np.testing.assert_allclose(got, expected_draws(counts, 0.5, 100), atol=0.05)
    weights = 1 / np.sqrt(np.array(counts)[labels])
    generator = torch.Generator().manual_seed(0)
    theirs = list(torch.utils.data.WeightedRandomSampler(weights.tolist(), 100 * 1000, generator=generator))
    np.testing.assert_allclose(got, np.bincount(labels[theirs]) / 1000, rtol=0.03)


@given(imbalances, powers)
def test_photos_of_a_class_take_turns_over_epochs(counts, power):
    labels = labels_of(counts)
    sampler = ClassBalanced(labels=labels, batch_size=16, seed=2, power=power)
    times = Counter(dict.fromkeys(range(len(labels)), 0))
    for epoch in range(5):
        times.update(drawn(sampler, epoch))
        for label in range(len(counts)):
            own = [times[index] for index in np.flatnonzero(labels == label)]
            assert max(own) - min(own) <= 1


def test_each_turn_has_an_order_of_its_own():
    labels = labels_of([200, 40])
    sampler = ClassBalanced(labels=labels, batch_size=120, seed=0)  # draws 120 of the 200 in each epoch
    first, after_three_turns = ({index for index in drawn(sampler, epoch) if labels[index] == 0} for epoch in (0, 5))
    assert len(first) == len(after_three_turns) == 120
    assert first != after_three_turns


def test_a_batch_of_one_photo_is_only_made_when_asked_for():
    assert [len(batch) for batch in ClassBalanced(labels=labels_of([2, 1]), batch_size=2, seed=0).batches(0)] == [2, 2]
    assert [len(batch) for batch in ClassBalanced(labels=labels_of([1]), batch_size=8, seed=0).batches(0)] == [2]
    assert [len(batch) for batch in ClassBalanced(labels=labels_of([2]), batch_size=1, seed=0).batches(0)] == [1, 1]


def test_notices_say_how_often_photos_repeat():
    sampler = ClassBalanced(labels=labels_of([500, 100]), batch_size=32, seed=0)
    draws = 19 * 32
    assert sampler.notices == (
        f"each photo of the smallest class (100 photos) is drawn {draws / 200:.2f} times per epoch on average, "
        f"of the largest (500) {draws / 1000:.2f} times",
    )
    assert ClassBalanced(labels=labels_of([5, 5]), batch_size=4, seed=0).notices == ()
