from __future__ import annotations

import math
import statistics

import pytest
import torch

from metricface.components.heads.adaface import AdaFace

B, C, D = 10, 4, 6


def make(**arguments: float) -> AdaFace:
    torch.manual_seed(0)
    return AdaFace(embedding_dim=D, num_classes=C, scale=30.0, **arguments)


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return torch.randn(B, D) * (1 + 9 * torch.rand(B, 1)), torch.randint(C, (B,))


def naive_logits(head: AdaFace, vectors: torch.Tensor, labels: torch.Tensor, mean: float, std: float) -> torch.Tensor:
    """The paper's formulas, one pair at a time, in double precision."""
    rows = []
    for vector, label in zip(vectors.tolist(), labels.tolist(), strict=True):
        length = math.hypot(*vector)
        quality = min(1.0, max(-1.0, (length - mean) / ((std + 1e-3) / head.concentration)))
        row = []
        for number, prototype in enumerate(head.prototypes.tolist()):
            dot = sum(x * w for x, w in zip(vector, prototype, strict=True))
            theta = math.acos(dot / (length * math.hypot(*prototype)))
            if number == label:
                theta = max(0.0, theta - head.margin * quality)
                row.append(head.scale * (math.cos(theta) - (head.margin * quality + head.margin)))
            else:
                row.append(head.scale * math.cos(theta))
        rows.append(row)
    return torch.tensor(rows)


def moments(vectors: torch.Tensor) -> tuple[float, float]:
    lengths = [math.hypot(*vector) for vector in vectors.tolist()]
    return statistics.mean(lengths), statistics.stdev(lengths)


def test_logits_are_those_of_the_paper_batch_after_batch():
    head = make(momentum=0.6)
    mean = std = 0.0
    for number in range(5):
        vectors, labels = batch(number)
        # All batches so far count alike until a moving average of momentum 0.6 remembers fewer of them: 1, 1/2, 0.4.
        share = max(1 / (number + 1), 0.4)
        now = moments(vectors)
        mean, std = (1 - share) * mean + share * now[0], (1 - share) * std + share * now[1]
        logits = head(vectors, labels).logits
        torch.testing.assert_close(logits, naive_logits(head, vectors, labels, mean, std), atol=2e-4, rtol=1e-4)
    assert float(head.length_mean) == pytest.approx(mean, rel=1e-5)
    assert float(head.length_std) == pytest.approx(std, rel=1e-5)


def test_in_evaluation_mode_the_margin_is_that_of_the_state():
    head = make()
    head(*batch(0))
    vectors, labels = batch(1)
    logits = head.eval()(vectors, labels).logits
    torch.testing.assert_close(logits, naive_logits(head, vectors, labels, *moments(batch(0)[0])), atol=2e-4, rtol=1e-4)


def test_a_long_embedding_is_asked_for_more_cosine_and_less_angle():
    head = make(concentration=10.0)
    vectors, labels = batch(0)
    vectors[0], vectors[1], labels[:2] = 100 * head.prototypes.data[1] * 30, 0.1 * head.prototypes.data[1], 1
    head(vectors, labels)
    logits = head.eval()(vectors[:2], labels[:2]).logits[:, 1] / 30
    # A cosine of 1 that is rounded down by one float32 step has a sine of 3.5e-4: processors differ by that.
    assert logits.tolist() == pytest.approx([1 - 2 * 0.4, math.cos(0.4)], abs=4e-4)


def test_no_gradient_goes_through_the_length():
    head = make()
    vectors, labels = batch(0)
    vectors.requires_grad_()
    head(vectors, labels).logits.sum().backward()
    along = (vectors.grad * vectors).sum(dim=1).detach()
    torch.testing.assert_close(along, torch.zeros(B), atol=1e-4, rtol=0)


def test_a_batch_of_one_photo_has_no_deviation_and_moves_nothing():
    head = make()
    head(*batch(0))
    before = {name: value.clone() for name, value in head.state_dict().items()}
    vectors, labels = batch(1)
    assert head(vectors[:1], labels[:1]).logits.isfinite().all()
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())


def test_nothing_is_clamped_away_from_the_ends_of_the_cosine_as_the_authors_code_does():
    head = make(concentration=0.0).eval()  # quality 0: the margin is one of the cosine alone
    vectors = head.prototypes.detach()[:1].clone()
    own, labels = torch.tensor([0]), torch.tensor([0])
    logits = head(vectors, labels).logits / 30
    assert logits[0, own].item() == pytest.approx(1 - 0.4, abs=1e-6)  # theirs: 1 - 0.001 - 0.4
    turned = vectors + 0.02 * torch.randn(1, D) * vectors.norm()  # within acos(1 - 0.001) of it, or nearly so
    turned.requires_grad_()
    head(turned, labels).logits[0, 0].backward()
    assert turned.grad.abs().max() > 0  # theirs has none within the clamp
