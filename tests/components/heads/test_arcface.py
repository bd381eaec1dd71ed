from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import ArcFaceLoss

from metricface.components.heads.arcface import ArcFace
from metricface.errors import TrainingError

B, C, D = 6, 5, 8


@pytest.fixture
def head() -> ArcFace:
    torch.manual_seed(0)
    return ArcFace(embedding_dim=D, num_classes=C, scale=30.0, margin=0.4)


def naive_logits(head: ArcFace, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The paper's formula, one pair at a time, in double precision."""
    rows = []
    for embedding, label in zip(embeddings.tolist(), labels.tolist(), strict=True):
        row = []
        for number, prototype in enumerate(head.prototypes.tolist()):
            dot = sum(x * w for x, w in zip(embedding, prototype, strict=True))
            theta = math.acos(dot / (math.hypot(*embedding) * math.hypot(*prototype)))
            row.append(head.scale * math.cos(theta + head.margin * (number == label)))
        rows.append(row)
    return torch.tensor(rows)


def test_logits_are_those_of_the_paper(head):
    embeddings, labels = torch.randn(B, D), torch.tensor([0, 1, 2, 3, 4, 0])
    output = head(embeddings, labels)
    torch.testing.assert_close(output.logits, naive_logits(head, embeddings, labels), atol=1e-4, rtol=1e-5)
    assert torch.equal(output.targets, labels)
    assert output.penalty is None


@pytest.mark.parametrize("margin", [0.0, 0.3, 0.5, 1.2])
def test_loss_and_gradient_agree_with_pytorch_metric_learning(margin):
    torch.manual_seed(0)
    head = ArcFace(embedding_dim=D, num_classes=C, margin=margin)
    peer = ArcFaceLoss(num_classes=C, embedding_size=D, margin=math.degrees(margin), scale=64)
    peer.W.data = head.prototypes.data.T.clone()
    embeddings = torch.randn(40, D)
    # Directly opposite the prototype too, where theta + margin is beyond pi.
    embeddings[0], labels = -head.prototypes.data[0] + 1e-3 * torch.randn(D), torch.arange(40) % C
    ours, theirs = embeddings.clone().requires_grad_(), embeddings.clone().requires_grad_()
    loss = F.cross_entropy(head(ours, labels).logits, labels)
    expected = peer(theirs, labels)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-4)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_label_out_of_range_on_cuda_leaves_the_device_usable(head):
    head.cuda()
    with pytest.raises(TrainingError, match="label 5"):
        head(torch.randn(2, D, device="cuda"), torch.tensor([0, 5], device="cuda"))
    assert float(torch.ones(2, device="cuda").sum()) == 2


def test_the_gradient_is_that_of_the_margins_cosine_and_falls_on_beyond_pi(head):
    """Today's arcface_torch gives the target the gradient of cos(theta), and lets cos(theta + m) rise beyond pi."""
    axes = torch.eye(D)
    head.prototypes.data.copy_(axes[:C])
    labels, logits = torch.tensor([0]), []
    for theta in (0.3, 1.2, 2.5, math.pi - 0.3, math.pi - 0.2, math.pi - 0.1):
        angle = torch.tensor(theta, dtype=torch.float32, requires_grad=True)
        embedding = (angle.cos() * axes[0] + angle.sin() * axes[7])[None]
        logit = head(embedding, labels).logits[0, 0] / head.scale
        (slope,) = torch.autograd.grad(logit, angle)
        logits.append(logit.item())
        beyond = theta + head.margin > math.pi
        wanted = -math.sin(theta) if beyond else -math.sin(theta + head.margin)
        assert slope.item() == pytest.approx(wanted, abs=1e-3)
    assert logits == sorted(logits, reverse=True)
