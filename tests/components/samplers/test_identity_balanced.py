from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.work import calls_of

from metricface.components.samplers.identity_balanced import IdentityBalanced
from metricface.errors import DataError, RecipeError


class Crowd:
    """Photos of people, in a scrambled order: `people` gives each one's number of photos."""

    def __init__(self, people: list[int]) -> None:
        self.labels = np.random.default_rng(0).permutation(np.repeat(3 * np.arange(len(people)), people))

    def sampler(self, per_batch: int = 4, views: int = 4, **options: object) -> IdentityBalanced:
        return IdentityBalanced(labels=self.labels, batch_size=per_batch * views, views=views, seed=5, **options)

    def photos_of(self, label: int) -> set[int]:
        return set(np.flatnonzero(self.labels == label).tolist())


def groups(batch: list[int], views: int) -> list[list[int]]:
    return [batch[start : start + views] for start in range(0, len(batch), views)]


crowds = st.lists(st.integers(1, 30), min_size=4, max_size=12).map(Crowd)
layouts = st.tuples(st.integers(2, 4), st.integers(2, 5), st.integers(1, 3))  # P, K, processes


@settings(deadline=None)
@given(crowds, layouts, st.integers(0, 3))
def test_batches_are_people_times_photos_and_everybody_comes_equally_often(crowd, layout, epoch):
    per_batch, views, world_size = layout
    led: Counter[int] = Counter()
    samplers = [crowd.sampler(per_batch, views, rank=rank, world_size=world_size) for rank in range(world_size)]
    for sampler in samplers:
        for batch in sampler.batches(epoch):
            assert len(batch) % views == 0
            assert len(batch) <= per_batch * views
            people = [check_group(crowd, group, views) for group in groups(batch, views)]
            assert 2 <= len(set(people)) == len(people)
            led.update(people)
    assert set(led) == set(crowd.labels.tolist())
    stand_ins = any("stand-in" in notice for notice in samplers[0].notices)
    assert stand_ins or len(set(led.values())) == 1


def check_group(crowd: Crowd, group: list[int], views: int) -> int:
    [label] = set(crowd.labels[group].tolist())
    assert len(group) == views
    assert len(set(group)) == min(views, len(crowd.photos_of(label)))
    return label


@settings(deadline=None)
@given(crowds, layouts)
def test_an_epoch_is_about_as_long_as_the_photos_are_many(crowd, layout):
    per_batch, views, _ = layout
    people = len(set(crowd.labels.tolist()))
    each = max(1, round(len(crowd.labels) / (views * people)))
    assert len(crowd.sampler(per_batch, views)) == math.ceil(each * people / per_batch)


@settings(deadline=None, max_examples=40)
@given(crowds, st.integers(2, 5))
def test_photos_take_turns_over_epochs(crowd, views):
    sampler = crowd.sampler(views=views)
    shown: dict[int, list[list[int]]] = {}
    for epoch in range(6):
        for batch in sampler.batches(epoch):
            for group in groups(batch, views):
                shown.setdefault(int(crowd.labels[group[0]]), []).append(group)
    for label, own in shown.items():
        photos = crowd.photos_of(label)
        turn = math.ceil(len(photos) / views)  # groups until everyone has been shown
        times = Counter(index for group in own for index in group)
        assert max(times.values()) <= math.ceil(len(own) / turn) * math.ceil(turn * views / len(photos))
        assert len(own) < turn or set(times) == photos


def test_a_person_with_many_photos_comes_no_more_often_and_shows_them_all_in_time():
    crowd = Crowd([40, 4, 4, 4])
    sampler = crowd.sampler(per_batch=2)
    led = Counter(label for batch in sampler.batches(0) for label in crowd.labels[batch][::4].tolist())
    assert led == {0: 3, 3: 3, 6: 3, 9: 3}
    seen = [{index for batch in sampler.batches(epoch) for index in batch} for epoch in range(4)]
    assert set.union(*seen) == set(range(52))
    assert len(seen[0] & crowd.photos_of(0)) == 12


def test_a_photo_meets_others_in_other_turns():
    crowd = Crowd([8] * 6)
    met = {
        frozenset(group)
        for epoch in range(5)
        for batch in crowd.sampler().batches(epoch)
        for group in groups(batch, 4)
        if min(crowd.photos_of(0)) in group
    }
    assert len(met) == 5


def test_people_meet_others_in_other_epochs():
    crowd = Crowd([4] * 12)
    sampler = crowd.sampler(per_batch=3)
    met = {
        frozenset(crowd.labels[batch].tolist())
        for epoch in range(5)
        for batch in sampler.batches(epoch)
        if 0 in crowd.labels[batch]
    }
    assert len(met) >= 4  # of 55 pairs of others


def test_singletons_are_repeated_or_dropped_and_counted_aloud():
    crowd = Crowd([1, 1, 4, 4, 4, 4])
    repeated = crowd.sampler()
    assert repeated.notices == ("2 of 6 people have a single photo: it is repeated, each time augmented anew",)
    assert set(np.unique(crowd.labels)) == {label for batch in repeated.batches(0) for label in crowd.labels[batch]}
    dropped = crowd.sampler(singletons="drop")
    assert dropped.notices == ("2 of 6 people have a single photo: left out",)
    assert {label for batch in dropped.batches(0) for label in crowd.labels[batch]} == {6, 9, 12, 15}


def test_stand_ins_are_counted_aloud():
    assert Crowd([4, 4, 4]).sampler(per_batch=2).notices == (
        "1 group per epoch is a stand-in, so that every batch holds two people",
    )


def test_an_epoch_of_twice_the_people_is_twice_the_work():
    def work(people: int) -> int:
        sampler = Crowd([8] * people).sampler(per_batch=16)
        return calls_of(lambda: list(sampler.batches(0)))

    assert work(1000) < 2.2 * work(500)
    assert work(500) < 12 * 500 * 8  # calls for 4,000 photos


@pytest.mark.parametrize(
    ("error", "people", "batch_size", "options", "message"),
    [
        (
            DataError,
            [9, 9, 9],
            16,
            {},
            "sampler identity-balanced: 4 people x 4 views (train.batch_size 16) cannot be filled (got 3 people). "
            "Set train.batch_size to at most 12, or add people.",
        ),
        (
            DataError,
            [1, 1, 1, 1],
            16,
            {"singletons": "drop"},
            "sampler identity-balanced: 4 people x 4 views (train.batch_size 16) cannot be filled (got 0 people with "
            "two photos or more (4 dropped as singletons)). Add people.",
        ),
        (
            RecipeError,
            [9] * 9,
            30,
            {},
            "train.batch_size: 30 is not two or more people times 4 views (sampler.views). "
            "Take 28, for instance, or other views.",
        ),
    ],
)
def test_what_cannot_work_is_refused(error, people, batch_size, options, message):
    with pytest.raises(error) as caught:
        IdentityBalanced(labels=Crowd(people).labels, batch_size=batch_size, seed=0, **options)
    assert str(caught.value) == message
