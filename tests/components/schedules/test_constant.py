from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricface.components.schedules.constant import Constant
from metricface.components.schedules.cosine import Cosine


def test_up_in_a_line_and_then_one():
    schedule = Constant(total_steps=40, warmup=0.1)
    assert [schedule(step) for step in range(6)] == pytest.approx([1 / 5, 2 / 5, 3 / 5, 4 / 5, 1, 1])
    assert schedule(39) == schedule(400) == 1


def test_without_warm_up_nothing_changes():
    assert {Constant(total_steps=40, warmup=0.0)(step) for step in range(40)} == {1.0}


@given(st.integers(1, 300), st.floats(0, 1, exclude_max=True))
def test_the_warm_up_is_that_of_the_other_schedules(total, warmup):
    constant, cosine = (kind(total_steps=total, warmup=warmup) for kind in (Constant, Cosine))
    length = int(warmup * total)
    assert [constant(step) for step in range(length + 1)] == [cosine(step) for step in range(length + 1)]
    assert all(constant(step) == 1 for step in range(length, total))
