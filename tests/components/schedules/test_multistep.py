from __future__ import annotations

from typing import get_type_hints

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from metricface.components.schedules.constant import Constant
from metricface.components.schedules.multistep import MultiStep
from metricface.errors import RecipeError


def of_torch(milestones: list[int], factor: float, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, factor)
    rates = []
    for _ in range(steps):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize(
    ("shares", "steps"), [((0.5, 0.75), [20, 30]), ((0.7,), [28]), ((0.1, 0.3, 0.6), [4, 12, 24]), ((0.51,), [20])]
)
def test_it_falls_as_torch_has_it(shares, steps):
    schedule = MultiStep(total_steps=40, milestones=shares, factor=0.3, warmup=0.0)
    assert [schedule(step) for step in range(40)] == pytest.approx(of_torch(steps, 0.3, 40))


def test_warm_up_multiplies():
    schedule, warm = MultiStep(total_steps=40, milestones=(0.2, 0.5), warmup=0.3), Constant(total_steps=40, warmup=0.3)
    expected = [warm(step) * (1 if step < 8 else 0.1 if step < 20 else 0.01) for step in range(40)]
    assert [schedule(step) for step in range(40)] == pytest.approx(expected)


@pytest.mark.parametrize("milestones", [(0.75, 0.5), (0.5, 0.5, 0.75)])
def test_milestones_that_do_not_increase_are_refused(milestones):
    with pytest.raises(RecipeError) as caught:
        MultiStep(total_steps=40, milestones=milestones)
    assert str(caught.value) == (
        f"schedule.milestones: shares of the run must increase (got {list(milestones)}). Write [0.5, 0.75]."
    )


@pytest.mark.parametrize("milestones", [[0.0], [1.0], [30], []])
def test_the_signature_bounds_milestones(milestones):
    hints = get_type_hints(MultiStep.__init__, include_extras=True)
    with pytest.raises(ValidationError):
        TypeAdapter(hints["milestones"]).validate_python(tuple(milestones))
