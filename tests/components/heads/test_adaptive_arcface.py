from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from metricface.components.heads.adaptive_arcface import AdaptiveArcFace
from metricface.components.heads.arcface import ArcFace
from metricface.errors import DataError, RecipeError

C, D = 4, 6
COUNTS = [16, 1, 81, 10_000]


def make(counts: list[int] = COUNTS, **arguments: float) -> AdaptiveArcFace:
    torch.manual_seed(0)
    return AdaptiveArcFace(
        embedding_dim=D, num_classes=C, class_counts=np.array(counts, np.int64), scale=30.0, **arguments
    )


def test_logits_are_those_of_arcface_with_the_margin_of_the_papers_formula():
    """a * n^(-1/4) + b with a = 0.45, b = 0.05, one pair at a time, in double precision."""
    head = make()
    vectors, labels = torch.randn(8, D), torch.arange(8) % C
    rows = []
    for vector, label in zip(vectors.tolist(), labels.tolist(), strict=True):
        row = []
        for number, prototype in enumerate(head.prototypes.tolist()):
            dot = sum(x * w for x, w in zip(vector, prototype, strict=True))
            theta = math.acos(dot / (math.hypot(*vector) * math.hypot(*prototype)))
            row.append(30 * math.cos(theta + (0.45 * COUNTS[number] ** -0.25 + 0.05) * (number == label)))
        rows.append(row)
    torch.testing.assert_close(head(vectors, labels).logits, torch.tensor(rows), atol=1e-4, rtol=1e-4)


def test_the_rarest_class_has_the_upper_margin_however_many_photos_there_are():
    assert make().margins.tolist() == pytest.approx([0.275, 0.5, 0.2, 0.095])
    assert make([7 * count for count in COUNTS]).margins.tolist() == pytest.approx([0.275, 0.5, 0.2, 0.095])
    ldam = make(margin_lower=0.0)
    assert ldam.margins.tolist() == pytest.approx([0.5 * count**-0.25 for count in COUNTS])


@pytest.mark.parametrize("setting", [{"counts": [9] * C}, {"power": 0.0}, {"margin_lower": 0.5}])
def test_equal_margins_are_arcface(setting):
    head, arcface = make(**setting), ArcFace(embedding_dim=D, num_classes=C, scale=30.0, margin=0.5)
    arcface.load_state_dict(head.state_dict())
    vectors, labels = torch.randn(8, D), torch.arange(8) % C
    torch.testing.assert_close(head(vectors, labels).logits, arcface(vectors, labels).logits)


def test_a_class_without_photos_leaves_the_other_margins_as_they_are():
    head = make([16, 0, 81, 10_000])
    assert head.margins[[0, 2, 3]].tolist() == pytest.approx([0.5, 0.05 + 0.45 * (16 / 81) ** 0.25, 0.14], abs=1e-3)
    assert head.margins.isfinite().all()


def test_bounds_in_the_wrong_order_are_refused():
    with pytest.raises(RecipeError) as caught:
        make(margin_lower=0.6)
    assert str(caught.value) == (
        "head adaptive-arcface: margin_lower must not be above margin_upper (got 0.6 and 0.5). "
        "Lower margin_lower or raise margin_upper."
    )


def test_counts_of_other_classes_and_of_no_photos_are_refused():
    with pytest.raises(RecipeError, match=r"must have a number for each of the 4 classes \(got 3\)\. Pass the counts"):
        make([1, 2, 3])
    with pytest.raises(DataError, match=r"no class has a photo\. Add photos to the train split"):
        make([0] * C)
