from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import CosFaceLoss

from metricface.components.heads.cosface import CosFace

B, C, D = 6, 5, 8


@pytest.fixture
def head() -> CosFace:
    torch.manual_seed(0)
    return CosFace(embedding_dim=D, num_classes=C, scale=30.0, margin=0.25)


def test_the_loss_is_that_of_the_paper(head):
    """Equation 4, one photo at a time, in double precision."""
    embeddings, labels = torch.randn(B, D), torch.tensor([0, 1, 2, 3, 4, 0])
    total = 0.0
    for embedding, label in zip(embeddings.double(), labels.tolist(), strict=True):
        cosines = [float(embedding @ w / (embedding.norm() * w.norm())) for w in head.prototypes.detach().double()]
        target = math.exp(30 * (cosines[label] - 0.25))
        others = sum(math.exp(30 * cosine) for number, cosine in enumerate(cosines) if number != label)
        total -= math.log(target / (target + others))
    output = head(embeddings, labels)
    assert F.cross_entropy(output.logits, labels).item() == pytest.approx(total / B, rel=1e-5)
    assert output.targets is labels
    assert output.penalty is None


def test_loss_and_gradient_agree_with_pytorch_metric_learning_at_the_defaults():
    torch.manual_seed(0)
    head = CosFace(embedding_dim=D, num_classes=C)
    peer = CosFaceLoss(num_classes=C, embedding_size=D, margin=0.35, scale=64)
    peer.W.data = head.prototypes.data.T.clone()
    ours, labels = torch.randn(40, D, requires_grad=True), torch.arange(40) % C
    theirs = ours.detach().clone().requires_grad_()
    loss, expected = F.cross_entropy(head(ours, labels).logits, labels), peer(theirs, labels)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(head.prototypes.grad, peer.W.grad.T, atol=1e-3, rtol=1e-4)
