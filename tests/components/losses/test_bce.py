from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from metricface.components.losses.bce import BCE
from metricface.contracts import LossInput
from metricface.errors import DataError, RecipeError, TrainingError

COUNTS = np.array([30, 6])
TARGETS = torch.tensor([0, 1, 1, 0, 1])


def given_of(logits: torch.Tensor | None, targets: torch.Tensor | None = TARGETS) -> LossInput:
    return LossInput(torch.zeros(5, 2), TARGETS, logits, targets)


def naive(logits: torch.Tensor, weight: float, shift: float) -> float:
    total = 0.0
    for logit, target in zip(logits[:, 0].tolist(), TARGETS.tolist(), strict=True):
        probability = 1 / (1 + math.exp(-(logit + shift)))
        total -= weight * math.log(probability) if target else math.log(1 - probability)
    return total / len(TARGETS)


@pytest.mark.parametrize(
    ("settings", "weight", "shift"),
    [
        ({}, 1.0, 0.0),
        ({"pos_weight": 2.5}, 2.5, 0.0),
        ({"pos_weight": "balanced"}, 5.0, 0.0),
        ({"logit_adjustment": 1.0}, 1.0, math.log(6 / 30)),
        ({"pos_weight": 3.0, "logit_adjustment": 0.5}, 3.0, 0.5 * math.log(6 / 30)),
    ],
)
def test_the_formula(settings, weight, shift):
    torch.manual_seed(0)
    logits = torch.randn(5, 1)
    loss = BCE(**settings, class_counts=COUNTS)(given_of(logits))
    assert loss.item() == pytest.approx(naive(logits, weight, shift), rel=1e-5)


@pytest.mark.parametrize("settings", [{"pos_weight": "balanced"}, {"logit_adjustment": 1.0}])
def test_both_corrections_aim_at_the_logit_of_equally_common_classes(settings):
    """Photos that look alike, 30 of label 0 and 6 of label 1: the best logit says fifty-fifty."""
    logit = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0] * 30 + [1] * 6)
    given = LossInput(torch.zeros(36, 1), targets, logit.expand(36)[:, None], targets)
    BCE(**settings, class_counts=COUNTS)(given).backward()
    assert float(logit.grad) == pytest.approx(0.0, abs=1e-6)
    BCE()(given).backward()
    assert float(logit.grad) > 0.3


def test_it_agrees_with_the_softmax_over_two_logits():
    """The log-odds are the difference of two logits, adjusted or not."""
    torch.manual_seed(0)
    two = torch.randn(5, 2)
    priors = torch.from_numpy(np.log(COUNTS / COUNTS.sum())).float()
    expected = F.cross_entropy(two + 0.7 * priors, TARGETS)
    loss = BCE(logit_adjustment=0.7, class_counts=COUNTS)(given_of(two[:, 1:] - two[:, :1]))
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_finite_for_logits_far_out(dtype):
    logits = torch.tensor([[1e4], [-1e4], [0.0], [-1e4], [1e4]], dtype=dtype, requires_grad=True)
    loss = BCE(pos_weight="balanced", class_counts=COUNTS)(given_of(logits))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_nothing_is_rounded_to_bfloat16():
    logits, loss = torch.randn(5, 1).bfloat16(), BCE(logit_adjustment=1.0, class_counts=COUNTS)
    assert loss(given_of(logits)) == loss(given_of(logits.float()))


def test_more_than_one_logit_is_refused():
    with pytest.raises(RecipeError) as caught:
        BCE()(given_of(torch.zeros(5, 3)))
    assert str(caught.value) == (
        'loss bce: needs one logit (got 3). Use a head such as name = "linear" with binary = true.'
    )


def test_no_head_is_refused():
    with pytest.raises(RecipeError, match=r"loss bce: there are no logits\. Add a \[head\], .* with binary = true"):
        BCE()(given_of(None, None))


def test_a_target_that_is_neither_0_nor_1_is_named():
    with pytest.raises(TrainingError, match=r"^loss bce: label 2 is none of the 2 classes"):
        BCE()(given_of(torch.zeros(5, 1), torch.tensor([0, 1, 2, 0, 1])))


def test_many_classes_are_refused_before_training():
    with pytest.raises(RecipeError) as caught:
        BCE(class_counts=np.ones(30, np.int64))
    assert str(caught.value) == ('loss bce: one logit tells two classes apart (got 30 classes). Use "cross-entropy".')


def test_correcting_twice_is_refused():
    with pytest.raises(RecipeError) as caught:
        BCE(pos_weight="balanced", logit_adjustment=1.0, class_counts=COUNTS)
    assert str(caught.value) == (
        'loss bce: pos_weight = "balanced" and logit_adjustment = 1.0 both correct for the class counts. '
        "Leave one of them out."
    )


@pytest.mark.parametrize("settings", [{"pos_weight": "balanced"}, {"logit_adjustment": 1.0}])
@pytest.mark.parametrize("counts", [[0, 7], [7, 0]])
def test_a_class_without_photos_is_refused_where_it_matters(settings, counts):
    name = next(iter(settings))
    with pytest.raises(DataError, match=rf"loss bce: {name}.* \(got none of class {counts.index(0)} of 2\)"):
        BCE(**settings, class_counts=np.array(counts))
    with pytest.raises(RecipeError, match=f"loss bce: {name}.* needs class_counts"):
        BCE(**settings)
    BCE(class_counts=np.array(counts))
