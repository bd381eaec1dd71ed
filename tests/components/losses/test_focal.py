from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import sigmoid_focal_loss

from metricface.components.losses.focal import Focal
from metricface.contracts import LossInput
from metricface.errors import DataError, RecipeError, TrainingError

TARGETS = torch.tensor([0, 1, 1, 0, 1])


def given_of(logits: torch.Tensor | None, targets: torch.Tensor | None = TARGETS) -> LossInput:
    return LossInput(torch.zeros(5, 2), TARGETS, logits, targets)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_one_logit_agrees_with_torchvision(gamma, alpha):
    torch.manual_seed(0)
    ours = (3 * torch.randn(5, 1)).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    loss = Focal(gamma=gamma, alpha=alpha)(given_of(ours))
    peer_alpha = -1 if alpha is None else alpha
    expected = sigmoid_focal_loss(theirs[:, 0], TARGETS.float(), alpha=peer_alpha, gamma=gamma, reduction="mean")
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("alpha", [None, "balanced"])
def test_many_logits_agree_with_the_formula(alpha):
    torch.manual_seed(0)
    logits, targets, counts = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 2]), [8, 3, 1]
    total = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        p = math.exp(row[target]) / sum(math.exp(value) for value in row)
        weight = 12 / (3 * counts[target]) if alpha else 1
        total -= weight * (1 - p) ** 1.5 * math.log(p)
    loss = Focal(gamma=1.5, alpha=alpha, class_counts=np.array(counts))(given_of(logits, targets))
    assert loss.item() == pytest.approx(total / 5, rel=1e-5)


@pytest.mark.parametrize("settings", [{}, {"alpha": 0.3}, {"alpha": "balanced"}])
def test_one_logit_is_the_difference_of_two(settings):
    torch.manual_seed(0)
    two, loss = torch.randn(5, 2), Focal(**settings, class_counts=np.array([4, 2]))
    torch.testing.assert_close(loss(given_of(two)), loss(given_of(two[:, 1:] - two[:, :1])))


def test_gamma_0_is_cross_entropy():
    torch.manual_seed(0)
    logits = torch.randn(5, 4)
    torch.testing.assert_close(Focal(gamma=0.0)(given_of(logits)), F.cross_entropy(logits, TARGETS))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("columns", [1, 2])
def test_value_and_gradient_are_finite_for_logits_far_out(dtype, gamma, columns):
    values = torch.tensor([[-200.0], [200.0], [-1e4], [0.0], [18.0]])  # right, right, wrong, undecided, nearly right
    logits = (values if columns == 1 else torch.cat([-values / 2, values / 2], dim=1)).to(dtype).requires_grad_()
    loss = Focal(gamma=gamma)(given_of(logits))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_alpha_as_a_number_with_many_classes_is_refused():
    with pytest.raises(RecipeError) as caught:
        Focal(alpha=0.25)(given_of(torch.zeros(5, 3)))
    assert str(caught.value) == (
        "loss focal: alpha weighs 2 classes (got logits of 3). "
        'Use alpha = "balanced" and a head with a logit for every class, or leave alpha out.'
    )


def test_balanced_needs_photos_of_every_class():
    with pytest.raises(DataError, match=r'loss focal: alpha = "balanced" needs photos .* \(got none of class 1 of 3\)'):
        Focal(alpha="balanced", class_counts=np.array([3, 0, 1]))
    with pytest.raises(RecipeError, match=r'loss focal: alpha = "balanced" needs class_counts'):
        Focal(alpha="balanced")


@pytest.mark.parametrize("columns", [1, 2])
def test_a_target_out_of_range_is_named(columns):
    with pytest.raises(TrainingError, match=r"^loss focal: label 2 is none of the 2 classes"):
        Focal()(given_of(torch.zeros(5, columns), torch.tensor([0, 1, 2, 0, 1])))
