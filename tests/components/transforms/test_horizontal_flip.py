"""Mirror images, and what a recipe may ask for."""

from __future__ import annotations

from typing import get_type_hints

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from support.task_b_tree import photo

from metricface.components.transforms.horizontal_flip import HorizontalFlip
from metricface.contracts import View

FACE = photo(4, 0)


def test_it_mirrors_left_to_right() -> None:
    view = HorizontalFlip(probability=1.0)(View(FACE), np.random.default_rng(0))
    np.testing.assert_array_equal(view.image, FACE[:, ::-1])
    assert view.image.flags.c_contiguous


@pytest.mark.parametrize("probability", [-0.1, 1.5])
def test_the_signature_bounds_the_probability(probability: float) -> None:
    hints = get_type_hints(HorizontalFlip.__init__, include_extras=True)
    with pytest.raises(ValidationError):
        TypeAdapter(hints["probability"]).validate_python(probability)
