from __future__ import annotations

import numpy as np
from support.task_b_tree import photo

from metricface.components.transforms.grey import Grey
from metricface.contracts import View

FACE = photo(3, 0)


def test_all_channels_are_the_luma() -> None:
    image = Grey(probability=1.0)(View(FACE), np.random.default_rng(0)).image
    luma = FACE @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(image, np.repeat(luma[..., None], 3, axis=-1), atol=1)
