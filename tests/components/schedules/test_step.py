from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metricface.components.schedules.constant import Constant
from metricface.components.schedules.step import Step
from metricface.errors import RecipeError


def of_torch(interval: int, factor: float, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, interval, factor)
    rates = []
    for _ in range(steps):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize(("every", "interval"), [(0.3, 9), (0.1, 3), (0.7, 21), (1 / 3, 10), (0.31, None)])
def test_it_falls_as_torch_has_it(every, interval):
    schedule = Step(total_steps=30, every=every, factor=0.3, warmup=0.0)
    got = [schedule(step) for step in range(30)]
    if interval is not None:
        assert got == pytest.approx(of_torch(interval, 0.3, 30))
    else:  # 9.3, 18.6 and 27.9 steps
        assert got == pytest.approx([1] * 9 + [0.3] * 10 + [0.09] * 9 + [0.027] * 2)


@given(st.integers(1, 60), st.integers(2, 400), st.floats(0, 0.9))
def test_warm_up_multiplies_and_intervals_of_whole_steps_end_there(interval, total, warmup):
    if interval >= total:
        total += interval
    schedule = Step(total_steps=total, every=interval / total, warmup=warmup)
    warm = Constant(total_steps=total, warmup=warmup)
    expected = [warm(step) * 0.1 ** (step // interval) for step in range(total)]
    assert [schedule(step) for step in range(total)] == pytest.approx(expected, abs=0)


def test_an_interval_below_one_step_is_refused():
    with pytest.raises(RecipeError) as caught:
        Step(total_steps=300, every=0.001)
    assert str(caught.value) == (
        "schedule.every: 0.001 of 300 steps is less than one step. Take a share above 0.0033, or train for longer."
    )
