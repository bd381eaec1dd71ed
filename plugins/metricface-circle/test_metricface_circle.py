from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from metricface_circle import CircleLoss
from pytorch_metric_learning.losses import CircleLoss as PeerCircleLoss
from pytorch_metric_learning.reducers import MeanReducer

from metricface.components.registry import Registry
from metricface.contracts import KINDS, LossInput
from metricface.testing import check_loss


def naive(vectors: torch.Tensor, labels: list[int], scale: float, margin: float) -> float:
    """Equation 6 of the paper, one pair at a time, in double precision."""
    unit = [vector / vector.norm() for vector in vectors.double()]
    everyone, costs = range(len(labels)), []
    for i in everyone:
        p = [float(unit[i] @ unit[j]) for j in everyone if j != i and labels[j] == labels[i]]
        n = [float(unit[i] @ unit[j]) for j in everyone if labels[j] != labels[i]]
        if p and n:
            pull = sum(math.exp(-scale * max(0.0, 1 + margin - s) * (s - (1 - margin))) for s in p)
            push = sum(math.exp(scale * max(0.0, s + margin) * (s - margin)) for s in n)
            costs.append(math.log1p(pull * push))
    return sum(costs) / len(costs) if costs else 0.0


def test_it_keeps_the_contract() -> None:
    check_loss(CircleLoss)


def test_a_recipe_finds_it_by_name() -> None:
    assert Registry(KINDS["loss"]).load("metricface-circle:circle") is CircleLoss


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=9), st.floats(1, 64), st.floats(0, 0.5), st.integers(0, 1000))
def test_agrees_with_a_loop_over_all_pairs(labels: list[int], scale: float, margin: float, seed: int) -> None:
    torch.manual_seed(seed)
    vectors = 5 * torch.randn(len(labels), 4)
    loss = CircleLoss(scale=scale, margin=margin)(LossInput(vectors, torch.tensor(labels)))
    assert float(loss) == pytest.approx(naive(vectors, labels, scale, margin), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(("scale", "margin"), [(256.0, 0.25), (80.0, 0.4)])
def test_value_and_gradient_agree_with_pytorch_metric_learning(scale: float, margin: float) -> None:
    torch.manual_seed(0)
    ours, labels = torch.randn(24, 6, requires_grad=True), torch.arange(24) % 5
    theirs = ours.detach().clone().requires_grad_()
    loss = CircleLoss(scale=scale, margin=margin)(LossInput(ours, labels))
    expected = PeerCircleLoss(m=margin, gamma=scale, reducer=MeanReducer())(theirs, labels)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("labels", [[0], [0, 0, 0], [0, 1, 2]], ids=["one photo", "no negative", "no positive"])
def test_no_anchor_with_both_gives_0_and_a_gradient_of_0(labels: list[int]) -> None:
    vectors = torch.randn(len(labels), 4, requires_grad=True)
    with torch.autograd.detect_anomaly():  # refuses a NaN anywhere on the way
        loss = CircleLoss()(LossInput(vectors, torch.tensor(labels)))
        loss.backward()
    assert float(loss.detach()) == 0
    assert vectors.grad is not None
    assert torch.equal(vectors.grad, torch.zeros_like(vectors))


def test_anchors_without_a_positive_are_negatives_only() -> None:
    torch.manual_seed(0)
    vectors, labels = torch.randn(4, 3), [0, 0, 1, 2]
    loss = CircleLoss(scale=20.0)(LossInput(vectors, torch.tensor(labels)))
    assert float(loss) == pytest.approx(naive(vectors, labels, 20.0, 0.25), rel=1e-5)


def test_finite_for_opposite_and_zero_vectors_at_the_largest_scale() -> None:
    vectors = torch.tensor([[1.0, 0], [-1, 0], [0, 0], [1, 0]], requires_grad=True)
    loss = CircleLoss(scale=1000.0, margin=0.9)(LossInput(vectors, torch.tensor([0, 0, 1, 1])))
    loss.backward()
    assert loss.isfinite()
    assert vectors.grad is not None
    assert vectors.grad.isfinite().all()
