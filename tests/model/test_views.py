from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metricface.model.views import middle, views_of

SIDES = st.integers(1, 300)


@given(SIDES, SIDES, st.floats(0.001, 1))
def test_the_middle_keeps_its_share_of_each_side_and_lies_within_a_pixel_of_the_centre(
    height: int, width: int, share: float
) -> None:
    for side, kept in zip((height, width), middle(height, width, share), strict=True):
        length = kept.stop - kept.start
        assert 0 <= kept.start < kept.stop <= side
        assert length == 1 or abs(length - share * side) <= 0.5
        assert 0 <= (side - kept.stop) - kept.start <= 1  # the odd pixel is cut off below and to the right


@pytest.mark.parametrize(
    ("mirror", "zoom", "count"), [(False, 1.0, 1), (True, 1.0, 2), (False, 0.5, 2), (True, 0.5, 4)]
)
def test_the_photo_comes_first_and_every_view_has_its_shape(mirror: bool, zoom: float, count: int) -> None:
    images = torch.randn(2, 3, 12, 10)
    views = views_of(images, mirror=mirror, zoom=zoom)
    assert views[0] is images
    assert [tuple(view.shape) for view in views] == [(2, 3, 12, 10)] * count
    if mirror:
        for view, other in zip(views[: count // 2], views[count // 2 :], strict=True):
            assert np.array_equal(view.numpy()[..., ::-1], other.numpy())


def test_the_middle_is_enlarged_linearly_around_its_centre() -> None:
    rows, columns = torch.meshgrid(torch.arange(12.0), torch.arange(8.0), indexing="ij")
    plane = (2 * rows + 3 * columns).expand(1, 3, 12, 8)
    (_, view) = views_of(plane, mirror=False, zoom=0.5)
    found = view.double().numpy()[0, 0]
    row = 3 + (np.arange(12) + 0.5) / 2 - 0.5  # where each pixel's centre comes from
    column = 2 + (np.arange(8) + 0.5) / 2 - 0.5
    expected = 2 * row.clip(3, 8)[:, None] + 3 * column.clip(2, 5)[None]
    np.testing.assert_allclose(found, expected, atol=1e-5)
