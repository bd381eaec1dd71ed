from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricface.components.schedules.cosine import Cosine


def test_the_closed_formula():
    schedule = Cosine(total_steps=100, warmup=0.2, final=0.1)
    for step in range(100):
        expected = (step + 1) / 21 if step < 20 else 0.1 + 0.9 * math.cos(math.pi / 2 * (step - 20) / 80) ** 2
        assert schedule(step) == pytest.approx(expected)


def test_landmarks():
    schedule = Cosine(total_steps=1000, warmup=0.05)
    assert schedule(50) == 1
    assert schedule(525) == pytest.approx(0.5)
    assert schedule(1000) == schedule(2000) == 0


steps = st.integers(1, 500)


@given(steps, st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_every_step_moves_and_none_goes_beyond_the_learning_rate(total, warmup, final):
    schedule = Cosine(total_steps=total, warmup=warmup, final=final)
    factors = [schedule(step) for step in range(total)]
    top = factors.index(max(factors))
    assert all(0 < factor <= 1 for factor in factors)
    assert max(factors) == 1
    assert factors[:top] == sorted(factors[:top])
    assert all(one >= other - 1e-12 for one, other in zip(factors[top:], factors[top + 1 :], strict=False))
    assert all(factor >= final - 1e-12 for factor in factors[top:])
    assert schedule(total) == pytest.approx(final)
