from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metricface.functional.margins import add_angular_margin, add_cosine_margin


def by_arccos(cosine: float, margin: float) -> float:
    """The definition, one number at a time, in double precision."""
    angle = math.acos(cosine)
    return math.cos(angle + margin) if angle <= math.pi - margin else cosine - margin * math.sin(margin)


@given(st.floats(-1, 1), st.floats(0, math.pi / 2))
def test_the_margin_is_added_to_the_angle(cosine, margin):
    added = add_angular_margin(torch.tensor([[cosine]], dtype=torch.float64), torch.tensor([0]), margin)
    at_the_switch = abs(cosine + math.cos(margin)) < 1e-12  # rounding decides there which side it is
    assert at_the_switch or float(added) == pytest.approx(by_arccos(cosine, margin), abs=1e-7)


@given(st.floats(0, math.pi / 2))
def test_the_target_falls_with_the_angle_everywhere(margin):
    cosine = torch.linspace(1, -1, 2001, dtype=torch.float64)[:, None]
    added = add_angular_margin(cosine, torch.zeros(2001, dtype=torch.int64), margin)[:, 0]
    assert (added.diff() < 1e-12).all()
    assert (added <= cosine[:, 0] + 1e-12).all()


@given(st.floats(-1, 1), st.floats(0, 1))
def test_the_cosine_margin_is_taken_off_the_target(cosine, margin):
    added = add_cosine_margin(torch.tensor([[cosine, cosine]], dtype=torch.float64), torch.tensor([1]), margin)
    assert added.tolist() == [[cosine, cosine - margin]]


@pytest.mark.parametrize("add_margin", [add_angular_margin, add_cosine_margin])
def test_other_columns_and_the_input_stay_as_they_are(add_margin):
    torch.manual_seed(0)
    cosine = torch.rand(4, 3) * 2 - 1
    before = cosine.clone()
    added = add_margin(cosine, torch.tensor([2, 0, 1, 1]), 0.5)
    changed = (added != before).nonzero().tolist()
    assert changed == [[0, 2], [1, 0], [2, 1], [3, 1]]
    assert torch.equal(cosine, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_values_and_gradients_are_finite_at_the_ends(dtype):
    cosine = torch.tensor([[1.0], [-1.0], [1.0 + 1e-7], [0.0], [0.999999]], dtype=dtype, requires_grad=True)
    added = add_angular_margin(cosine, torch.zeros(5, dtype=torch.int64), 0.5)
    added.sum().backward()
    assert added.isfinite().all()
    assert cosine.grad is not None
    assert cosine.grad.isfinite().all()
    assert float(added[0].detach()) == pytest.approx(math.cos(0.5), abs=1e-2 if dtype.itemsize == 2 else 1e-6)


def test_the_gradient_is_that_of_the_definition():
    cosine = torch.linspace(-0.98, 0.98, 50, dtype=torch.float64)[:, None].requires_grad_()
    targets = torch.zeros(50, dtype=torch.int64)
    assert torch.autograd.gradcheck(lambda values: add_angular_margin(values, targets, 0.5), cosine)
