from __future__ import annotations

import pytest
import torch

from metricface.components.heads.linear import Linear
from metricface.errors import RecipeError, TrainingError


def test_logits_are_the_weighted_sums():
    head = Linear(embedding_dim=3, num_classes=4)
    embeddings, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 3, 0])
    output = head(embeddings, labels)
    expected = embeddings @ head.layer.weight.T + head.layer.bias
    torch.testing.assert_close(output.logits, expected)
    assert output.targets is labels
    assert head(embeddings).targets is None


def test_binary_gives_one_logit():
    output = Linear(embedding_dim=3, num_classes=2, binary=True)(torch.randn(5, 3), torch.tensor([0, 1, 1, 0, 1]))
    assert output.logits.shape == (5, 1)
    assert output.targets.tolist() == [0, 1, 1, 0, 1]


def test_binary_with_more_classes_is_refused():
    with pytest.raises(RecipeError) as caught:
        Linear(embedding_dim=3, num_classes=30, binary=True)
    assert str(caught.value) == ("head.binary: one logit tells two classes apart (got 30 classes). Leave `binary` out.")


def test_float32_under_autocast():
    head, embeddings = Linear(embedding_dim=3, num_classes=4), torch.randn(5, 3)
    expected = head(embeddings).logits
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(head(embeddings).logits, expected)
        assert head(embeddings.bfloat16()).logits.dtype == torch.float32


def test_a_label_that_one_logit_cannot_stand_for_is_named():
    with pytest.raises(TrainingError, match=r"^head: label 2 is none of the 2 classes"):
        Linear(embedding_dim=3, num_classes=2, binary=True)(torch.randn(1, 3), torch.tensor([2]))
