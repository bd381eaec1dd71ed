from __future__ import annotations

import math

import pytest
import torch

from metricface.contracts import LossInput
from metricface.errors import RecipeError
from metricface.losses.cross_entropy import CrossEntropy

LABELS = torch.tensor([0, 2, 1])


def given_of(logits: torch.Tensor | None, targets: torch.Tensor | None = LABELS) -> LossInput:
    return LossInput(torch.zeros(3, 2), LABELS, logits, targets)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_formula(smoothing):
    torch.manual_seed(0)
    logits = torch.randn(3, 4)
    total = 0.0
    for row, target in zip(logits.tolist(), LABELS.tolist(), strict=True):
        normaliser = math.log(sum(math.exp(value) for value in row))
        wanted = [smoothing / 4 + (1 - smoothing) * (column == target) for column in range(4)]
        total += sum(share * (normaliser - value) for share, value in zip(wanted, row, strict=True))
    loss = CrossEntropy(label_smoothing=smoothing)(given_of(logits))
    assert float(loss) == pytest.approx(total / 3, rel=1e-5)


def test_targets_and_not_labels_say_which_column():
    logits = torch.tensor([[9.0, 0, 0], [9.0, 0, 0], [9.0, 0, 0]])
    assert float(CrossEntropy()(given_of(logits, torch.zeros(3, dtype=torch.int64)))) < 0.01


def test_a_binary_head_is_refused():
    with pytest.raises(RecipeError, match=r"needs at least two logits \(got 1, from a binary head\)"):
        CrossEntropy()(given_of(torch.zeros(3, 1)))


def test_no_head_is_refused():
    with pytest.raises(RecipeError, match=r"there are no logits\. Add a \[head\]"):
        CrossEntropy()(given_of(None, None))
