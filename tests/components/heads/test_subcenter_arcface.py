from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import SubCenterArcFaceLoss

from metricface.components.heads.arcface import ArcFace
from metricface.components.heads.subcenter_arcface import SubCenterArcFace
from metricface.errors import TrainingError

N, C, K, D = 40, 5, 3, 8


def make(sub_centers: int = K, margin: float = 0.4) -> SubCenterArcFace:
    torch.manual_seed(0)
    return SubCenterArcFace(embedding_dim=D, num_classes=C, sub_centers=sub_centers, scale=30.0, margin=margin)


def make_peer(head: SubCenterArcFace) -> SubCenterArcFaceLoss:
    peer = SubCenterArcFaceLoss(
        num_classes=C, embedding_size=D, margin=math.degrees(head.margin), scale=30, sub_centers=head.sub_centers
    )
    peer.W.data = head.prototypes.data.T.clone()
    return peer


def naive_angles(head: SubCenterArcFace, vector: list[float]) -> list[list[float]]:
    """Angles to the prototypes of each class, one by one, in double precision."""
    rows: list[list[float]] = [[] for _ in range(C)]
    for number, prototype in enumerate(head.prototypes.tolist()):
        dot = sum(x * w for x, w in zip(vector, prototype, strict=True))
        rows[number // head.sub_centers].append(math.acos(dot / (math.hypot(*vector) * math.hypot(*prototype))))
    return rows


def test_logits_are_those_of_the_paper():
    head = make()
    vectors, labels = torch.randn(N, D), torch.arange(N) % C
    expected = [
        [30 * math.cos(min(angles) + 0.4 * (number == label)) for number, angles in enumerate(naive_angles(head, row))]
        for row, label in zip(vectors.tolist(), labels.tolist(), strict=True)
    ]
    torch.testing.assert_close(head(vectors, labels).logits, torch.tensor(expected), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("margin", [0.0, 0.5, 1.2])
@pytest.mark.parametrize("sub_centers", [1, 2, 3])
def test_loss_and_gradients_agree_with_pytorch_metric_learning(sub_centers, margin):
    head = make(sub_centers, margin)
    peer = make_peer(head)
    ours, labels = torch.randn(N, D, requires_grad=True), torch.arange(N) % C
    theirs = ours.detach().clone().requires_grad_()
    loss, expected = F.cross_entropy(head(ours, labels).logits, labels), peer(theirs, labels)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(head.prototypes.grad, peer.W.grad.T, atol=1e-3, rtol=1e-4)


def test_one_sub_center_is_arcface():
    head, arcface = make(1), ArcFace(embedding_dim=D, num_classes=C, scale=30.0, margin=0.4)
    arcface.load_state_dict(head.state_dict())
    vectors, labels = torch.randn(N, D), torch.arange(N) % C
    assert torch.equal(head(vectors, labels).logits, arcface(vectors, labels).logits)


@pytest.mark.parametrize("degrees", [60, 75, 90])
def test_outliers_are_those_of_a_loop_and_of_pytorch_metric_learning(degrees):
    head = make()
    vectors, labels = torch.randn(N, D), torch.arange(N) % C
    found = head.outliers(vectors, labels, angle=math.radians(degrees))
    peers, _ = make_peer(head).get_outliers(vectors, labels, threshold=degrees)
    assert sorted(peers.tolist()) == found.nonzero()[:, 0].tolist()
    for label in range(C):
        rows = [naive_angles(head, vector)[label] for vector in vectors[labels == label].tolist()]
        nearest = [row.index(min(row)) for row in rows]
        dominant = max(range(K), key=nearest.count)
        assert found[labels == label].tolist() == [row[dominant] > math.radians(degrees) for row in rows]
    assert 0 < found.sum() < N


def test_a_wrongly_labelled_photo_is_an_outlier_and_leaves_the_dominant_prototype_alone():
    head = make()
    dominant, other = head.prototypes.data[1], torch.eye(D)[0]
    head.prototypes.data[2] = other
    vectors = torch.stack([dominant, 2 * dominant, other])
    labels = torch.zeros(3, dtype=torch.int64)
    assert head.outliers(vectors, labels).tolist() == [False, False, True]
    head(vectors[2:], labels[2:]).logits[:, 0].sum().backward()
    assert not head.prototypes.grad[1].any()


def test_a_label_out_of_range_among_outliers_is_named():
    with pytest.raises(TrainingError, match="label 5 is none of the 5 classes"):
        make().outliers(torch.randn(2, D), torch.tensor([0, 5]))
