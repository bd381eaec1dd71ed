from __future__ import annotations

import math

import pytest
import torch

from metricface.components.heads.curricularface import CurricularFace

B, C, D = 12, 5, 4


def make(momentum: float = 0.7) -> CurricularFace:
    torch.manual_seed(0)
    return CurricularFace(embedding_dim=D, num_classes=C, scale=30.0, margin=0.4, momentum=momentum)


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return 3 * torch.randn(B, D), torch.randint(C, (B,))


def naive_cosines(head: CurricularFace, vectors: torch.Tensor) -> list[list[float]]:
    return [
        [
            sum(x * w for x, w in zip(vector, prototype, strict=True)) / (math.hypot(*vector) * math.hypot(*prototype))
            for prototype in head.prototypes.tolist()
        ]
        for vector in vectors.tolist()
    ]


def naive_logits(cosines: list[list[float]], labels: list[int], t: float) -> tuple[list[list[float]], int]:
    """The paper's T and N, one pair at a time, in double precision, and how many classes were hard."""
    rows, hard = [], 0
    for cosine, label in zip(cosines, labels, strict=True):
        angle = math.acos(cosine[label])
        target = math.cos(angle + 0.4) if angle + 0.4 <= math.pi else cosine[label] - 0.4 * math.sin(0.4)
        row = [value if target >= value else value * (t + value) for value in cosine]
        hard += sum(target < value for number, value in enumerate(cosine) if number != label)
        row[label] = target
        rows.append([30 * value for value in row])
    return rows, hard


def test_logits_are_those_of_the_paper_batch_after_batch():
    head, t, hard = make(), 0.0, 0
    for number in range(5):
        vectors, labels = batch(number)
        cosines = naive_cosines(head, vectors)
        own = [row[label] for row, label in zip(cosines, labels.tolist(), strict=True)]
        t = 0.3 * sum(own) / B + 0.7 * t
        expected, found_hard = naive_logits(cosines, labels.tolist(), t)
        logits = head(vectors, labels).logits
        torch.testing.assert_close(logits, torch.tensor(expected), atol=1e-4, rtol=1e-4)
        hard += found_hard
    assert hard > 20
    assert float(head.progress) == pytest.approx(t, abs=1e-6)


def test_progress_starts_from_zero_and_approaches_the_targets_cosine():
    head = make(momentum=0.99)
    assert float(head.progress) == 0
    labels = torch.arange(C)
    for _ in range(100):
        head(head.prototypes.detach(), labels)
    assert float(head.progress) == pytest.approx(1 - 0.99**100, abs=1e-4)


def test_in_evaluation_mode_the_hard_classes_are_weighed_by_the_state():
    head = make()
    head(*batch(0))
    vectors, labels = batch(1)
    expected, _ = naive_logits(naive_cosines(head, vectors), labels.tolist(), float(head.progress))
    torch.testing.assert_close(head.eval()(vectors, labels).logits, torch.tensor(expected), atol=1e-4, rtol=1e-4)


def test_hard_classes_weigh_more_as_training_comes_along():
    vectors, labels = batch(0)
    steep = []
    for progress in (0.0, 0.9):
        head = make().eval()
        head.progress.fill_(progress)
        cosines = torch.tensor(naive_cosines(head, vectors), requires_grad=True)
        head._add_margin(cosines, labels).sum().backward()
        nearer_than_the_target = cosines > cosines.gather(1, labels[:, None])
        steep.append(cosines.grad[nearer_than_the_target])
    assert len(steep[0]) > 10
    torch.testing.assert_close(steep[1] - steep[0], torch.full_like(steep[0], 0.9))
