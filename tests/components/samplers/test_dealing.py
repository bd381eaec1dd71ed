from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricface.components.samplers._dealing import plan_epoch, views_of_group


def dealt(groups: list[int], batches: int) -> list[list[int]]:
    layout = [person for person, count in enumerate(groups) for _ in range(count)]
    return [layout[number::batches] for number in range(batches)]


@given(st.lists(st.integers(1, 40), min_size=2, max_size=12), st.integers(2, 8), st.integers(1, 4))
def test_every_batch_holds_two_people_and_no_more_groups_than_fit(groups, per_batch, world_size):
    planned, batches = plan_epoch(groups, per_batch, world_size)
    assert all(more >= once for more, once in zip(planned, groups, strict=True))
    for batch in dealt(planned, batches * world_size):
        assert len(batch) <= per_batch
        assert len(set(batch)) >= 2
        if max(planned) <= batches * world_size:
            assert len(set(batch)) == len(batch)


@given(st.lists(st.integers(1, 12), min_size=8, max_size=30), st.integers(4, 8))
def test_ordinarily_nobody_stands_in(groups, per_batch):
    planned, batches = plan_epoch(groups, per_batch, world_size=1)
    assert batches == math.ceil(sum(groups) / per_batch)
    if max(groups) <= batches and sum(groups) >= 2 * batches:
        assert planned == groups


@pytest.mark.parametrize(
    ("groups", "per_batch", "world_size", "planned", "batches"),
    [
        ([3, 2], 2, 1, [3, 3], 3),  # an odd number of groups in pairs
        ([9, 1], 2, 1, [9, 9], 9),  # one person has nearly all photos
        ([1, 1, 1], 2, 4, [3, 3, 2], 1),  # more processes than batches
    ],
)
def test_stand_ins(groups, per_batch, world_size, planned, batches):
    assert plan_epoch(groups, per_batch, world_size) == (planned, batches)


@pytest.mark.parametrize(
    ("clean", "distorted", "number", "expected"),
    [
        ("AB", "stuvw", 0, "AstB"),
        ("AB", "stuvw", 1, "BuvA"),
        ("AB", "stuvw", 2, "wAsB"),  # a stand-in, led by a distorted photo; they take turns
        ("ABCDE", "s", 0, "AsBC"),
        ("ABCDE", "", 3, "DEAB"),
        ("A", "stuvw", 0, "Astu"),
        ("", "stuvw", 0, "stuv"),
        ("A", "s", 0, "AsAs"),
        ("A", "st", 0, "AstA"),
        ("A", "", 0, "AAAA"),
        ("A", "", 1, "AAAA"),
    ],
)
def test_views_of_a_group(clean, distorted, number, expected):
    photos = [ord(letter) for letter in clean], [ord(letter) for letter in distorted]
    assert "".join(map(chr, views_of_group(*photos, number, views=4))) == expected
