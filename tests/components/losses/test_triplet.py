from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.components.losses.triplet import Triplet
from metricface.contracts import LossInput

Triplets = list[tuple[int, int, int]]


def valid(labels: list[int]) -> Triplets:
    everyone = range(len(labels))
    return [
        (a, p, n)
        for a in everyone
        for p in everyone
        for n in everyone
        if a != p and labels[a] == labels[p] != labels[n]
    ]


def naive(vectors: torch.Tensor, triplets: Triplets, margin: float, distance: str, soft: bool) -> float:
    unit = [vector / vector.norm() for vector in vectors.double()]

    def apart(one: int, other: int) -> float:
        return float(1 - unit[one] @ unit[other] if distance == "cosine" else (unit[one] - unit[other]).norm())

    gaps = [apart(a, p) - apart(a, n) + margin for a, p, n in triplets]
    costs = [math.log1p(math.exp(gap)) if soft else gap for gap in gaps if soft or gap > 1e-7]
    return sum(costs) / len(costs) if costs else 0.0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=9),
    st.floats(0, 1.5),
    st.sampled_from(["cosine", "euclidean"]),
    st.booleans(),
    st.integers(0, 1000),
)
def test_agrees_with_a_loop_over_all_triplets(labels, margin, distance, soft, seed):
    torch.manual_seed(seed)
    vectors = 5 * torch.randn(len(labels), 4)
    loss = Triplet(margin=margin, distance=distance, soft=soft)(LossInput(vectors, torch.tensor(labels)))
    assert loss.item() == pytest.approx(naive(vectors, valid(labels), margin, distance, soft), abs=1e-4)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_a_miners_choice_is_all_that_counts(distance):
    torch.manual_seed(0)
    vectors, labels = torch.randn(6, 4), torch.tensor([0, 0, 0, 1, 1, 2])
    triplets = [(0, 1, 3), (1, 2, 5), (3, 4, 0)]
    loss = Triplet(margin=1.0, distance=distance)
    mined = tuple(torch.tensor(triplets).T)
    expected = naive(vectors, triplets, 1.0, distance, soft=False)
    assert float(loss(LossInput(vectors, labels, pairs=mined))) == pytest.approx(expected, rel=1e-5)
    one = tuple(indices[:1] for indices in mined)
    expected = naive(vectors, triplets[:1], 1.0, distance, soft=False)
    assert float(loss(LossInput(vectors, labels, pairs=one))) == pytest.approx(expected, rel=1e-5)


def test_a_miners_pairs_stand_for_the_triplets_that_they_make_up():
    torch.manual_seed(0)
    vectors, labels = torch.randn(6, 4), torch.tensor([0, 0, 0, 1, 1, 2])
    positives, negatives = [(0, 1), (0, 2), (3, 4)], [(0, 3), (0, 5), (3, 1), (5, 0)]
    pairs = (*torch.tensor(positives).T, *torch.tensor(negatives).T)
    made = [(a, p, n) for a, p in positives for other, n in negatives if a == other]
    loss = Triplet(margin=1.0)(LossInput(vectors, labels, pairs=pairs))
    assert loss.item() == pytest.approx(naive(vectors, made, 1.0, "cosine", soft=False), rel=1e-5)


NONE = torch.empty(0, dtype=torch.int64)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize(
    ("labels", "pairs"),
    [([0], None), ([0, 0, 0], None), ([0, 1, 2], None), ([0, 0, 1], (NONE,) * 3), ([0, 0, 1], (NONE,) * 4)],
    ids=["one photo", "one person", "no positive", "no triplet mined", "no pair mined"],
)
def test_no_triplet_gives_0_and_keeps_the_gradient(labels, pairs, distance):
    vectors = torch.randn(len(labels), 4, requires_grad=True)
    loss = Triplet(distance=distance)(LossInput(vectors, torch.tensor(labels), pairs=pairs))
    loss.backward()
    assert loss.shape == ()
    assert loss.item() == 0
    assert torch.equal(vectors.grad, torch.zeros_like(vectors))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("photos", [4, 40])  # the Euclidean distance is computed in another way from 26 on
def test_people_on_top_of_each_other_cost_the_margin_and_give_no_nan(distance, dtype, photos):
    vectors = torch.ones(photos, 4, dtype=dtype).requires_grad_()
    loss = Triplet(margin=0.3, distance=distance)(LossInput(vectors, torch.arange(photos) // 2))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(0.3, abs=1e-3)
    assert vectors.grad.isfinite().all()
