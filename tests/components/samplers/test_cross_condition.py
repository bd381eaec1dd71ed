from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.work import calls_of

from metricface.components.samplers.cross_condition import CrossCondition
from metricface.components.samplers.identity_balanced import IdentityBalanced
from metricface.errors import DataError, RecipeError


class Crowd:
    """Photos of people, in a scrambled order: `people` gives each one's numbers of clean and of distorted photos."""

    def __init__(self, people: list[tuple[int, int]], seed: int = 0) -> None:
        rows = [
            (3 * person + 1, condition)  # labels need not be dense
            for person, (clean, distorted) in enumerate(people)
            for condition in [0] * clean + [1 + number % 7 for number in range(distorted)]
        ]
        np.random.default_rng(seed).shuffle(rows)
        self.labels, self.conditions = np.array(rows, np.int64).reshape(-1, 2).T

    def sampler(self, per_batch: int = 4, views: int = 4, **options: object) -> CrossCondition:
        given = {"labels": self.labels, "conditions": self.conditions, "seed": 5, **options}
        given.setdefault("condition_names", ("clean", "foggy"))  # a transform distorts where no photo on disk is
        return CrossCondition(batch_size=per_batch * views, views=views, **given)

    def groups(self, batch: list[int], views: int) -> list[list[int]]:
        return [batch[start : start + views] for start in range(0, len(batch), views)]


counts = st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(any)
crowds = st.lists(counts, min_size=4, max_size=12).map(Crowd)
layouts = st.tuples(st.integers(2, 4), st.integers(2, 5), st.integers(1, 3))  # P, K, processes


@settings(deadline=None)
@given(crowds, layouts, st.integers(0, 3))
def test_an_epoch_is_every_clean_photo_once_with_other_views_of_its_person(crowd, layout, epoch):
    per_batch, views, world_size = layout
    leaders: Counter[int] = Counter()
    sizes: set[int] = set()
    for rank in range(world_size):
        sampler = crowd.sampler(per_batch, views, rank=rank, world_size=world_size)
        batches = list(sampler.batches(epoch))
        assert len(batches) == len(sampler)
        for batch in batches:
            assert len(set(crowd.labels[batch])) >= 2
            sizes.add(len(batch))
            for group in crowd.groups(batch, views):
                check_group(crowd, group, views)
                leaders[group[0]] += 1
    assert max(sizes) <= per_batch * views
    assert max(sizes) - min(sizes) <= views
    assert all(size % views == 0 for size in sizes)
    check_leaders(crowd, leaders)


def check_group(crowd: Crowd, group: list[int], views: int) -> None:
    [label] = set(crowd.labels[group])
    own = np.flatnonzero(crowd.labels == label)
    assert len(group) == views
    assert len(set(group)) == min(views, len(own))
    assert set(crowd.conditions[group] > 0) == set(crowd.conditions[own] > 0)


def check_leaders(crowd: Crowd, leaders: Counter[int]) -> None:
    for label in set(crowd.labels):
        own = np.flatnonzero(crowd.labels == label)
        clean = own[crowd.conditions[own] == 0]
        assert all(leaders[index] >= 1 for index in clean)
        if len(clean) < len(own):  # only who has no distorted photo stands in with a clean one
            assert all(leaders[index] == 1 for index in clean)
        assert sum(leaders[index] for index in own) >= 1


@given(crowds, layouts)
def test_the_number_of_batches_is_that_of_the_groups_unless_someone_has_nearly_all(crowd, layout):
    per_batch, views, world_size = layout
    groups = [max(1, int((crowd.conditions[crowd.labels == label] == 0).sum())) for label in set(crowd.labels)]
    assume(max(groups) * per_batch <= sum(groups) * (per_batch - 1))
    expected = math.ceil(sum(groups) / (per_batch * world_size))
    assert len(crowd.sampler(per_batch, views, world_size=world_size)) == expected


clean_crowds = st.lists(st.integers(1, 9), min_size=4, max_size=12).map(
    lambda counts: Crowd([(clean, 0) for clean in counts])
)


@settings(deadline=None)
@given(clean_crowds, layouts, st.integers(0, 3), st.sampled_from(["repeat", "drop"]), st.sampled_from([(), ("clean",)]))
def test_without_a_distorted_photo_the_batches_are_those_of_identity_balanced(
    crowd, layout, epoch, singletons, condition_names
):
    per_batch, views, world_size = layout
    assume(singletons == "repeat" or (np.unique(crowd.labels, return_counts=True)[1] > 1).sum() >= per_batch)
    for rank in range(world_size):
        options = {"rank": rank, "world_size": world_size, "singletons": singletons}
        shape = {"labels": crowd.labels, "batch_size": per_batch * views, "seed": 5, "views": views}
        balanced = IdentityBalanced(**shape, **options)
        sampler = crowd.sampler(per_batch, views, condition_names=condition_names, **options)
        assert len(sampler) == len(balanced)
        assert list(sampler.batches(epoch)) == list(balanced.batches(epoch))
        assert sampler.notices == (
            "sampler cross-condition: no photo of train is distorted and no transform distorts one, so its batches are "
            'those of identity-balanced. For distorted views, add [[transform]] name = "random-distortion", or photos '
            "on disk: metricface data distort",
            *balanced.notices,
        )


def test_nobody_stands_twice_in_a_batch_nor_in_every_batch_of_a_row():
    crowd = Crowd([(10, 70)] * 30)
    sampler = crowd.sampler(per_batch=8)
    assert len(sampler) == 38
    assert sampler.notices == ()
    people = [crowd.labels[batch].reshape(-1, 4)[:, 0].tolist() for batch in sampler.batches(0)]
    assert all(len(set(batch)) == len(batch) for batch in people)
    # Dealt in order, 9 of 10 neighbours would share most of their people.
    shared = [len(set(one) & set(other)) for one, other in pairwise(people)]
    assert np.mean(shared) < 4


def test_a_clean_photo_meets_other_views_in_other_epochs():
    crowd = Crowd([(10, 20)] * 6)
    sampler = crowd.sampler()
    met = {
        frozenset(group)
        for epoch in range(5)
        for batch in sampler.batches(epoch)
        for group in crowd.groups(batch, 4)
        if group[0] == np.flatnonzero(crowd.conditions == 0)[0]
    }
    assert len(met) == 5


def test_distorted_photos_take_turns():
    crowd = Crowd([(10, 20)] * 6)
    drawn = Counter(index for batch in crowd.sampler(per_batch=4).batches(0) for index in batch)
    assert {drawn[index] for index in np.flatnonzero(crowd.conditions > 0)} == {1}  # 10 groups with 2 each


def test_singletons_are_repeated_or_dropped_and_counted_aloud():
    crowd = Crowd([(1, 0), (0, 1), *[(2, 2)] * 4])
    repeated = crowd.sampler()
    assert repeated.notices == (
        "2 of 6 people have a single photo: it is repeated, each time augmented anew",
        "1 of 6 people has no distorted photo: their groups hold clean photos only",
        "1 of 6 people has no clean photo: they lead one group per epoch",
    )
    assert {1, 4} <= {label for batch in repeated.batches(0) for label in crowd.labels[batch]}
    dropped = crowd.sampler(singletons="drop")
    assert dropped.notices[0] == "2 of 6 people have a single photo: left out"
    assert not {1, 4} & {label for batch in dropped.batches(0) for label in crowd.labels[batch]}


def test_people_with_very_many_photos():
    crowd = Crowd([(530, 0), *[(2, 0)] * 876])
    sampler = crowd.sampler(per_batch=16)
    assert sampler.notices[1:] == (
        "1 of 877 people has more clean photos than an epoch has batches (143): they stand up to 4 times in one batch",
    )
    assert all(len(set(crowd.labels[batch])) >= 12 for batch in sampler.batches(0))


def test_stand_ins_are_counted_aloud():
    assert Crowd([(3, 3), (2, 2)]).sampler(per_batch=2).notices == (
        "1 group per epoch is a stand-in, so that every batch holds two people",
    )


def test_an_epoch_of_twice_the_people_is_twice_the_work():
    def work(people: int) -> int:
        sampler = Crowd([(1, 7)] * people).sampler(per_batch=16)
        return calls_of(lambda: list(sampler.batches(0)))

    assert work(1000) < 2.2 * work(500)
    assert work(500) < 4 * 500 * 8  # calls for 4,000 photos


def test_a_batch_size_that_views_do_not_divide_is_refused():
    crowd = Crowd([(3, 3)] * 9)
    for batch_size, proposed in ((30, 28), (4, 8), (3, 8)):
        with pytest.raises(RecipeError) as caught:
            CrossCondition(labels=crowd.labels, conditions=crowd.conditions, batch_size=batch_size, seed=0)
        assert str(caught.value) == (
            f"train.batch_size: {batch_size} is not two or more people times 4 views (sampler.views). "
            f"Take {proposed}, for instance, or other views."
        )


@pytest.mark.parametrize(
    ("people", "options", "message"),
    [
        (
            [(3, 3)] * 3,
            {},
            "4 people x 4 views (train.batch_size 16) cannot be filled (got 3 people). "
            "Set train.batch_size to at most 12, or add people.",
        ),
        ([(3, 3)], {}, "4 people x 4 views (train.batch_size 16) cannot be filled (got 1 people). Add people."),
        (
            [(3, 3), (3, 3), (1, 0), (0, 1)],
            {"singletons": "drop"},
            "4 people x 4 views (train.batch_size 16) cannot be filled (got 2 people with two photos or more "
            "(2 dropped as singletons)). Set train.batch_size to at most 8, or add people.",
        ),
    ],
)
def test_too_few_people_are_refused(people, options, message):
    with pytest.raises(DataError) as caught:
        Crowd(people).sampler(**options)
    assert str(caught.value) == f"sampler cross-condition: {message}"
