from __future__ import annotations

import pytest
import torch

from metricface.functional.similarity import cosine, cosine_float32, normalize


def test_cosine_is_the_dot_product_over_the_lengths():
    torch.manual_seed(0)
    left, right = torch.randn(3, 5), torch.randn(4, 5)
    expected = [[float(a @ b / (a.norm() * b.norm())) for b in right] for a in left]
    torch.testing.assert_close(cosine(left, right), torch.tensor(expected))


def test_normalize_gives_unit_length_and_leaves_zero_and_its_input_alone():
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert normalize(vectors).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0.0, 0.0]]
    assert vectors.tolist() == [[3.0, 4.0], [0.0, 0.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cosine_float32_rounds_nothing_under_autocast(dtype):
    torch.manual_seed(0)
    left, right = torch.randn(3, 64).to(dtype), torch.randn(4, 64)
    expected = cosine(left.double(), right.double()).float()
    with torch.autocast("cpu", torch.bfloat16):
        found = cosine_float32(left, right)
        assert cosine(left.float(), right).dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
