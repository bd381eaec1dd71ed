from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.losses import SupConLoss

from metricface.components.losses.supcon import SupCon
from metricface.contracts import LossInput


def naive(vectors: torch.Tensor, labels: list[int], temperature: float) -> float:
    """Equation 2 of the paper, one pair at a time, in double precision."""
    unit = [vector / vector.norm() for vector in vectors.double()]
    everyone, costs = range(len(labels)), []
    for i in everyone:
        weights = {a: math.exp(float(unit[i] @ unit[a]) / temperature) for a in everyone if a != i}
        own = [p for p in weights if labels[p] == labels[i]]
        if own:
            costs.append(-sum(math.log(weights[p] / sum(weights.values())) for p in own) / len(own))
    return sum(costs) / len(costs) if costs else 0.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=9), st.floats(0.05, 2), st.integers(0, 1000))
def test_agrees_with_a_loop_over_all_pairs(labels, temperature, seed):
    torch.manual_seed(seed)
    vectors = 5 * torch.randn(len(labels), 4)
    loss = SupCon(temperature=temperature)(LossInput(vectors, torch.tensor(labels)))
    assert loss.item() == pytest.approx(naive(vectors, labels, temperature), rel=1e-4, abs=1e-4)


def test_value_and_gradient_agree_with_pytorch_metric_learning():
    torch.manual_seed(0)
    ours, labels = torch.randn(24, 6, requires_grad=True), torch.arange(24) % 5
    theirs = ours.detach().clone().requires_grad_()
    loss, expected = SupCon()(LossInput(ours, labels)), SupConLoss(temperature=0.1)(theirs, labels)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_anchors_without_a_positive_are_negatives_only():
    torch.manual_seed(0)
    vectors = torch.randn(4, 3)
    loss = SupCon()(LossInput(vectors, torch.tensor([0, 0, 1, 2])))
    assert loss.item() == pytest.approx(naive(vectors, [0, 0, 1, 2], 0.1), rel=1e-5)
    assert loss.item() != pytest.approx(float(SupCon()(LossInput(vectors[:2], torch.tensor([0, 0])))), rel=1e-2)


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("labels", [[0], [0, 1, 2]], ids=["one photo", "no positive"])
def test_no_positive_gives_0_and_a_gradient_of_0(labels):
    vectors = torch.randn(len(labels), 4, requires_grad=True)
    with torch.autograd.detect_anomaly():  # refuses a NaN anywhere on the way
        loss = SupCon()(LossInput(vectors, torch.tensor(labels)))
        loss.backward()
    assert loss.shape == ()
    assert float(loss.detach()) == 0
    assert torch.equal(vectors.grad, torch.zeros_like(vectors))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_finite_at_a_low_temperature_and_for_zero_vectors(dtype):
    vectors = torch.tensor([[1, 0], [-1, 0], [0, 0], [1, 0]], dtype=dtype, requires_grad=True)
    loss = SupCon(temperature=0.001)(LossInput(vectors, torch.tensor([0, 0, 1, 1])))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert vectors.grad.isfinite().all()


def test_float32_under_autocast():
    torch.manual_seed(0)
    given = LossInput(torch.randn(8, 16), torch.arange(8) % 3)
    expected = SupCon()(given)
    with torch.autocast("cpu", torch.bfloat16):
        assert SupCon()(given) == expected


@pytest.mark.parametrize("photos", [2, 3, 8])
def test_a_batch_of_one_class_costs_log_of_the_others_at_least_and_pulls_nobody_together(photos):
    torch.manual_seed(0)
    labels = torch.zeros(photos, dtype=torch.int64)
    apart = torch.eye(photos).requires_grad_()  # every cosine is 0, as far apart as photos of a batch can all be
    loss = SupCon()(LossInput(apart, labels))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(photos - 1), abs=1e-5)
    torch.testing.assert_close(apart.grad, torch.zeros(photos, photos), atol=1e-6, rtol=0)
    assert SupCon()(LossInput(torch.randn(photos, 5), labels)).item() >= math.log(photos - 1) - 1e-5
