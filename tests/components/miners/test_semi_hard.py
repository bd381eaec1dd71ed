from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.miners import TripletMarginMiner

from metricface.components.miners.semi_hard import SemiHard

Triplets = list[tuple[int, int, int]]


def naive(vectors: torch.Tensor, labels: list[int], margin: float) -> Triplets:
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    apart = (1 - unit @ unit.T).tolist()
    everyone = range(len(labels))
    found = []
    for a in everyone:
        negatives = sorted((n for n in everyone if labels[n] != labels[a]), key=apart[a].__getitem__)
        for p in everyone:
            if p == a or labels[p] != labels[a] or not negatives:
                continue
            farther = [n for n in negatives if apart[a][n] > apart[a][p]]
            negative = farther[0] if farther else negatives[-1]
            if apart[a][negative] < apart[a][p] + margin:
                found.append((a, p, negative))
    return found


def triplets(mined: tuple[torch.Tensor, ...]) -> Triplets:
    return [tuple(row) for row in torch.stack(mined, dim=1).tolist()]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=10),
    st.sampled_from([0.01, 0.1, 0.5, 2.0]),
    st.integers(0, 1000),
)
def test_agrees_with_a_loop(labels, margin, seed):
    torch.manual_seed(seed)
    vectors = 5 * torch.randn(len(labels), 6)
    assert triplets(SemiHard(margin=margin)(vectors, torch.tensor(labels))) == naive(vectors, labels, margin)


def test_what_is_no_fall_back_is_semi_hard_for_pytorch_metric_learning_too():
    torch.manual_seed(0)
    vectors, labels = torch.randn(40, 6), torch.arange(40) % 5
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    apart = 1 - unit @ unit.T
    miner = TripletMarginMiner(margin=0.2, type_of_triplets="semihard", distance=CosineSimilarity())
    theirs = set(triplets(miner(vectors, labels)))
    ours = triplets(SemiHard(margin=0.2)(vectors, labels))
    semi_hard = [(a, p, n) for a, p, n in ours if apart[a, n] > apart[a, p]]
    assert semi_hard
    assert set(semi_hard) <= theirs
    # One triplet for every pair that has any, and the farthest negative where none is farther than the positive.
    assert {(a, p) for a, p, _ in semi_hard} == {(a, p) for a, p, _ in theirs}
    for a, p, n in set(ours) - set(semi_hard):
        assert apart[a, n] == apart[a, labels != labels[a]].max() <= apart[a, p]


ANGLES = {"anchor": 0.0, "positive": 0.6, "near": 0.3, "even": 0.6, "next": 0.7, "far": 2.0}


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        (["far", "next", "near"], "next"),
        (["even", "next"], "next"),  # as far as the positive is not farther
        (["near", "far"], None),  # far lies beyond the margin and near is too hard
        (["near"], "near"),  # the fall-back
        (["far"], None),
    ],
)
def test_which_negative(others, expected):
    names = ["anchor", "positive", *others]
    angles = torch.tensor([ANGLES[name] for name in names])
    labels = torch.tensor([0, 0, *[1 + number for number in range(len(others))]])
    mined = triplets(SemiHard(margin=0.2)(torch.stack([angles.cos(), angles.sin()], dim=1), labels))
    of_anchor = [names[n] for a, p, n in mined if (a, p) == (0, 1)]
    assert of_anchor == ([] if expected is None else [expected])


def test_people_on_top_of_each_other_are_still_mined():
    mined = triplets(SemiHard()(torch.ones(4, 3), torch.tensor([0, 0, 1, 1])))
    assert [(a, p) for a, p, _ in mined] == [(0, 1), (1, 0), (2, 3), (3, 2)]
    assert all(n // 2 != a // 2 for a, _, n in mined)
