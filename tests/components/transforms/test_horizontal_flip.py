"""Mirror images: what, how often, and that the condition stays."""

from __future__ import annotations

from typing import get_type_hints

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from support.task_b_tree import photo

from metricface.components.transforms.horizontal_flip import HorizontalFlip
from metricface.contracts import View

FACE = photo(4, 0)


def test_it_mirrors_left_to_right_and_keeps_the_condition() -> None:
    view = HorizontalFlip(probability=1.0)(View(FACE, "rainy", 2), np.random.default_rng(0))
    np.testing.assert_array_equal(view.image, FACE[:, ::-1])
    assert view.image.flags.c_contiguous
    assert (view.condition, view.severity) == ("rainy", 2)


def test_probability_zero_changes_nothing() -> None:
    view = HorizontalFlip(probability=0.0)(View(FACE), np.random.default_rng(0))
    np.testing.assert_array_equal(view.image, FACE)


@pytest.mark.parametrize("probability", [0.2, 0.5])
def test_it_happens_as_often_as_stated(probability: float) -> None:
    flip, rng = HorizontalFlip(probability=probability), np.random.default_rng(0)
    tiny = FACE[:16, :16].copy()
    share = np.mean([(flip(View(tiny), rng).image != tiny).any() for _ in range(1500)])
    assert share == pytest.approx(probability, abs=0.04)  # about three standard deviations


@pytest.mark.parametrize("probability", [-0.1, 1.5])
def test_the_signature_bounds_the_probability(probability: float) -> None:
    hints = get_type_hints(HorizontalFlip.__init__, include_extras=True)
    with pytest.raises(ValidationError):
        TypeAdapter(hints["probability"]).validate_python(probability)
