from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from metricface.functional.margins import (
    add_angular_margin,
    add_cosine_margin,
    add_curricular_margin,
    add_quality_margin,
)


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


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-math.pi / 2, math.pi / 2)), min_size=1, max_size=6))
def test_each_row_may_have_a_margin_of_its_own_and_a_negative_one_stops_at_the_prototype(rows):
    cosines, margins = torch.tensor(rows, dtype=torch.float64).T
    added = add_angular_margin(cosines[:, None], torch.zeros(len(rows), dtype=torch.int64), margins)[:, 0]
    for found, (cosine, margin) in zip(added.tolist(), rows, strict=True):
        if abs(abs(cosine) - math.cos(margin)) > 1e-12:  # else rounding decides which side of a switch it is
            expected = 1.0 if math.acos(cosine) + margin < 0 else by_arccos(cosine, margin)
            assert found == pytest.approx(expected, abs=1e-7)


@given(st.floats(-1, 1), st.floats(0, math.pi / 2))
def test_one_margin_and_the_same_one_for_each_row_are_one_thing(cosine, margin):
    assume(abs(cosine + math.cos(margin)) > 1e-6)  # ArcFace jumps there, and a float32 margin moves the place a little
    cosines, targets = torch.full((3, 2), cosine), torch.tensor([0, 1, 1])
    for add_margin in (add_angular_margin, add_cosine_margin):
        one, each = (add_margin(cosines, targets, given) for given in (margin, torch.full((3,), margin)))
        assert torch.allclose(one, each, atol=1e-6, rtol=0)


@given(st.floats(0, math.pi / 2), st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=6))
def test_the_quality_margin_turns_the_angle_and_then_lowers_the_cosine(margin, rows):
    cosines, qualities = torch.tensor(rows, dtype=torch.float64).T
    targets = torch.zeros(len(rows), dtype=torch.int64)
    added = add_quality_margin(cosines[:, None], targets, margin, qualities)[:, 0]
    for found, (cosine, quality) in zip(added.tolist(), rows, strict=True):
        turn = -margin * quality
        if abs(abs(cosine) - math.cos(turn)) > 1e-12:
            turned = 1.0 if math.acos(cosine) + turn < 0 else by_arccos(cosine, turn)
            assert found == pytest.approx(turned - margin * (1 + quality), abs=1e-7)


def test_the_quality_margin_is_arcface_at_the_worst_quality_and_cosface_in_the_middle():
    cosine, targets = torch.rand(4, 3) * 2 - 1, torch.tensor([2, 0, 1, 1])
    worst, middle = (add_quality_margin(cosine, targets, 0.4, torch.full((4,), quality)) for quality in (-1.0, 0.0))
    torch.testing.assert_close(worst, add_angular_margin(cosine, targets, 0.4))
    torch.testing.assert_close(middle, add_cosine_margin(cosine, targets, 0.4))


def test_the_curricular_margin_weighs_classes_nearer_than_the_target_after_its_margin():
    target = 0.5
    after = math.cos(math.acos(target) + 0.5)
    cosine = torch.tensor([[after + 0.01, target, after - 0.01, 0.9, -0.5]], dtype=torch.float64)
    added = add_curricular_margin(cosine, torch.tensor([1]), 0.5, torch.tensor(0.3))
    near = after + 0.01
    assert added[0].tolist() == pytest.approx([near * (0.3 + near), after, after - 0.01, 0.9 * 1.2, -0.5], abs=1e-7)
    assert cosine[0, 3] == 0.9


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


def test_the_gradient_reaches_the_margins_of_the_rows():
    torch.manual_seed(0)
    cosine = (torch.rand(8, 3, dtype=torch.float64) * 1.9 - 0.95).requires_grad_()
    margins = (torch.rand(8, dtype=torch.float64) * 3 - 1.5).requires_grad_()
    targets = torch.arange(8) % 3
    for add_margin in (add_angular_margin, add_cosine_margin):
        assert torch.autograd.gradcheck(
            lambda *given, add=add_margin: add(given[0], targets, given[1]), (cosine, margins)
        )


@pytest.mark.parametrize("margin", [0.5, -0.5, 0.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_values_and_gradients_are_finite_at_the_ends_with_a_margin_for_each_row(dtype, margin):
    cosine = torch.tensor([[1.0], [-1.0], [1.0 + 1e-7], [0.0], [0.999999]], dtype=dtype, requires_grad=True)
    margins = torch.full((5,), margin, dtype=dtype, requires_grad=True)
    added = add_angular_margin(cosine, torch.zeros(5, dtype=torch.int64), margins)
    added.sum().backward()
    for tensor in (added, cosine.grad, margins.grad):
        assert tensor is not None
        assert tensor.isfinite().all()
