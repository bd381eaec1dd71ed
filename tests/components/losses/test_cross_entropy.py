from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from metricface.components.losses.cross_entropy import CrossEntropy
from metricface.contracts import LossInput
from metricface.errors import DataError, RecipeError

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
    assert loss.item() == pytest.approx(total / 3, rel=1e-5)


def test_targets_and_not_labels_say_which_column():
    logits = torch.tensor([[9.0, 0, 0], [9.0, 0, 0], [9.0, 0, 0]])
    assert float(CrossEntropy()(given_of(logits, torch.zeros(3, dtype=torch.int64)))) < 0.01


def test_a_binary_head_is_refused():
    with pytest.raises(RecipeError, match=r"needs at least two logits \(got 1, from a binary head\)"):
        CrossEntropy()(given_of(torch.zeros(3, 1)))


COUNTS = np.array([90, 9, 1])


@pytest.mark.parametrize("tau", [0.5, 1.0])
def test_logit_adjustment_adds_tau_log_prior(tau):
    torch.manual_seed(0)
    logits = torch.randn(3, 3)
    total = 0.0
    for row, target in zip(logits.tolist(), LABELS.tolist(), strict=True):
        weights = [math.exp(value) * (count / 100) ** tau for value, count in zip(row, COUNTS.tolist(), strict=True)]
        total -= math.log(weights[target] / sum(weights))
    loss = CrossEntropy(logit_adjustment=tau, class_counts=COUNTS)(given_of(logits))
    assert loss.item() == pytest.approx(total / 3, rel=1e-5)


def test_no_adjustment_unless_asked_for():
    logits = torch.randn(3, 3)
    assert CrossEntropy(class_counts=np.array([5, 0, 1]))(given_of(logits)) == CrossEntropy()(given_of(logits))


def test_logit_adjustment_needs_the_photos_of_every_class_and_a_logit_for_each():
    with pytest.raises(RecipeError, match="loss cross-entropy: logit_adjustment needs class_counts"):
        CrossEntropy(logit_adjustment=1.0)
    with pytest.raises(DataError, match=r"loss cross-entropy: logit_adjustment needs .* \(got none of class 1 of 3\)"):
        CrossEntropy(logit_adjustment=1.0, class_counts=np.array([5, 0, 1]))
    with pytest.raises(RecipeError) as caught:
        CrossEntropy(logit_adjustment=1.0, class_counts=COUNTS)(given_of(torch.zeros(3, 4)))
    assert str(caught.value) == (
        "loss cross-entropy: logit_adjustment needs a logit for each of the 3 classes (got 4). "
        "Use another head or set logit_adjustment = 0."
    )
