from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.miners import BatchHardMiner

from metricface.components.miners.batch_hard import BatchHard


def naive(vectors: torch.Tensor, labels: list[int]) -> list[tuple[int, int, int]]:
    unit = [vector / vector.norm() for vector in vectors]
    found = []
    for anchor, label in enumerate(labels):
        cosines = {other: float(unit[anchor] @ unit[other]) for other in range(len(labels)) if other != anchor}
        positives = [other for other in cosines if labels[other] == label]
        negatives = [other for other in cosines if labels[other] != label]
        if positives and negatives:
            found.append((anchor, min(positives, key=cosines.__getitem__), max(negatives, key=cosines.__getitem__)))
    return found


def triplets(mined: tuple[torch.Tensor, ...]) -> list[tuple[int, ...]]:
    return [tuple(row) for row in torch.stack(mined, dim=1).tolist()]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=10), st.integers(0, 1000))
def test_agrees_with_a_loop(labels, seed):
    torch.manual_seed(seed)
    vectors = 5 * torch.randn(len(labels), 8)
    assert triplets(BatchHard()(vectors, torch.tensor(labels))) == naive(vectors, labels)


def test_agrees_with_pytorch_metric_learning():
    torch.manual_seed(0)
    vectors, labels = torch.randn(40, 8), torch.arange(40) % 7
    expected = BatchHardMiner(distance=CosineSimilarity())(vectors, labels)
    assert triplets(BatchHard()(vectors, labels)) == triplets(expected)


def test_nobody_is_their_own_positive_not_even_among_equals():
    mined = triplets(BatchHard()(torch.ones(4, 3), torch.tensor([0, 0, 1, 1])))
    assert [(a, p) for a, p, _ in mined] == [(0, 1), (1, 0), (2, 3), (3, 2)]
