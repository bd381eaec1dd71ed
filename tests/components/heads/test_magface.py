from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from metricface.components.heads.magface import MagFace
from metricface.errors import RecipeError

B, C, D = 12, 4, 6


@pytest.fixture
def head() -> MagFace:
    torch.manual_seed(0)
    return MagFace(embedding_dim=D, num_classes=C, scale=30.0, norm_lower=2.0, norm_upper=12.0, penalty_weight=5.0)


def naive(head: MagFace, vectors: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Logits and penalty by the paper's formulas, one pair at a time, in double precision."""
    rows, costs = [], []
    for vector, label in zip(vectors.tolist(), labels.tolist(), strict=True):
        length = min(max(math.hypot(*vector), 2.0), 12.0)
        margin = (0.8 - 0.45) / (12.0 - 2.0) * (length - 2.0) + 0.45
        costs.append(length / 12.0**2 + 1 / length)
        row = []
        for number, prototype in enumerate(head.prototypes.tolist()):
            dot = sum(x * w for x, w in zip(vector, prototype, strict=True))
            theta = math.acos(dot / (math.hypot(*vector) * math.hypot(*prototype)))
            own = math.cos(theta + margin) if theta + margin <= math.pi else math.cos(theta) - margin * math.sin(margin)
            row.append(30 * (own if number == label else math.cos(theta)))
        rows.append(row)
    return torch.tensor(rows), 5.0 * sum(costs) / len(costs)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Lengths from below the lower bound to above the upper one."""
    torch.manual_seed(1)
    return F.normalize(torch.randn(B, D)) * torch.linspace(0.5, 20, B)[:, None], torch.arange(B) % C


def test_logits_and_penalty_are_those_of_the_paper(head):
    vectors, labels = batch()
    output = head(vectors, labels)
    logits, penalty = naive(head, vectors, labels)
    torch.testing.assert_close(output.logits, logits, atol=1e-4, rtol=1e-5)
    assert float(output.penalty.detach()) == pytest.approx(penalty, rel=1e-5)


def test_the_length_is_moved_by_the_margin_and_by_the_penalty_inside_the_bounds_only(head):
    vectors, labels = batch()
    lengths = vectors.norm(dim=1)
    directions = F.normalize(vectors)
    for part in ("logits", "penalty"):
        given = lengths.clone().requires_grad_()
        output = head(directions * given[:, None], labels)
        value = F.cross_entropy(output.logits, labels) if part == "logits" else output.penalty
        value.backward()
        inside = (lengths > 2) & (lengths < 12)
        assert (given.grad[inside].abs() > 1e-5).all()
        assert (given.grad[~inside].abs() < 1e-5).all()
        # The margin makes an embedding short, the penalty makes it long.
        assert (given.grad[inside] > 0).all() if part == "logits" else (given.grad[inside] < 0).all()


def test_the_penalty_weight_of_the_docstring_keeps_the_best_length_inside_the_bounds():
    """At the lower bound the penalty's slope outweighs the steepest that the logits' can be, scale * K."""
    slope, lower, upper = (0.8 - 0.45) / 100, 10.0, 110.0
    weight = 64 * slope * lower**2 * upper**2 / (upper**2 - lower**2)
    assert weight == pytest.approx(22.6, abs=0.05)
    assert weight * (1 / lower**2 - 1 / upper**2) == pytest.approx(64 * slope)


@pytest.mark.parametrize("what", ["margin", "norm"])
def test_bounds_in_the_wrong_order_are_refused(what):
    with pytest.raises(RecipeError) as caught:
        MagFace(embedding_dim=D, num_classes=C, **{f"{what}_lower": 1.5, f"{what}_upper": 0.7})
    assert str(caught.value) == (
        f"head magface: {what}_lower must be below {what}_upper (got 1.5 and 0.7). "
        f"Lower {what}_lower or raise {what}_upper."
    )
