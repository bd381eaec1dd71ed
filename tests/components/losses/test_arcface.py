from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from metricface.components.losses.arcface import ArcFaceLoss
from metricface.contracts import LossInput
from metricface.errors import TrainingError

B, C, D = 6, 4, 8
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])


def make(**settings: float) -> ArcFaceLoss:
    torch.manual_seed(0)
    return ArcFaceLoss(embedding_dim=D, num_classes=C, **settings)


def by_arccos(loss: ArcFaceLoss, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The paper's formula in double precision."""
    cosines = F.cosine_similarity(embeddings.double()[:, None], loss.prototypes.double()[None], dim=2)
    angles = cosines.acos() + loss.margin * F.one_hot(labels, C)
    return F.cross_entropy(loss.scale * angles.cos(), labels)


@pytest.mark.parametrize(("scale", "margin"), [(64.0, 0.5), (30.0, 0.0), (16.0, 1.0)])
def test_value_and_gradients_are_those_of_the_formula(scale, margin):
    loss = make(scale=scale, margin=margin)
    embeddings = torch.randn(B, D, requires_grad=True)
    value, expected = loss(LossInput(embeddings, LABELS)), by_arccos(loss, embeddings, LABELS)
    torch.testing.assert_close(value.double(), expected, atol=0, rtol=1e-5)
    wanted = torch.autograd.grad(expected, [embeddings, loss.prototypes])
    found = torch.autograd.grad(value, [embeddings, loss.prototypes])
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-3)


def test_prototypes_are_its_own_in_float32_and_survive_a_checkpoint():
    loss = make()
    assert [(name, tensor.dtype, tensor.shape) for name, tensor in loss.state_dict().items()] == [
        ("prototypes", torch.float32, (C, D))
    ]


def test_a_head_and_a_miner_are_not_looked_at():
    loss, embeddings = make(), torch.randn(B, D)
    alone = loss(LossInput(embeddings, LABELS))
    pair = (torch.tensor([0]), torch.tensor([4]), torch.tensor([1]))
    assert loss(LossInput(embeddings, LABELS, torch.randn(B, C), LABELS.flip(0), pair)) == alone


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_float32_under_autocast(dtype):
    loss, embeddings = make(), torch.randn(B, D).to(dtype)
    expected = loss(LossInput(embeddings.float(), LABELS))
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(LossInput(embeddings, LABELS)) == expected


def test_a_label_out_of_range_is_named():
    with pytest.raises(TrainingError, match=r"^loss arcface: label 4 is none of the 4 classes"):
        make()(LossInput(torch.randn(1, D), torch.tensor([4])))
