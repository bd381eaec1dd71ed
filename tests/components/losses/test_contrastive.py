from __future__ import annotations

from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.components.losses.contrastive import Contrastive
from metricface.contracts import LossInput
from metricface.errors import RecipeError


def naive(embeddings: torch.Tensor, labels: torch.Tensor, positive: float, negative: float) -> float:
    costs: dict[bool, list[float]] = {True: [], False: []}
    for one, other in permutations(range(len(labels)), 2):
        a, b = embeddings[one].double(), embeddings[other].double()
        similarity = float(a @ b / (a.norm() * b.norm()))
        same = bool(labels[one] == labels[other])
        costs[same].append(max(0.0, positive - similarity if same else similarity - negative))
    means = [[cost for cost in found if cost > 1e-7] for found in costs.values()]
    return sum(sum(found) / len(found) for found in means if found)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=10),
    st.floats(0.5, 1.0),
    st.floats(-0.5, 0.4),
    st.integers(0, 1000),
)
def test_agrees_with_a_loop_over_all_pairs(labels, positive, negative, seed):
    torch.manual_seed(seed)
    embeddings, labels = torch.randn(len(labels), 4), torch.tensor(labels)
    loss = Contrastive(positive_margin=positive, negative_margin=negative)(LossInput(embeddings, labels))
    assert loss.item() == pytest.approx(naive(embeddings, labels, positive, negative), abs=1e-4)


@pytest.mark.parametrize("labels", [[0], [0, 0, 0], [0, 1, 2]], ids=["one photo", "one person", "no positive"])
def test_missing_kinds_of_pairs_add_nothing_and_keep_the_gradient(labels):
    torch.manual_seed(0)
    embeddings = torch.randn(len(labels), 4, requires_grad=True)
    loss = Contrastive()(LossInput(embeddings, torch.tensor(labels)))
    loss.backward()
    assert loss.shape == ()
    assert loss.item() == pytest.approx(naive(embeddings.detach(), torch.tensor(labels), 1.0, 0.2), abs=1e-5)
    assert embeddings.grad.isfinite().all()


EMBEDDINGS = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]])
LABELS = torch.tensor([0, 0, 1, 1])


def indices(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.int64)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ((indices(0), indices(1), indices(0), indices(2)), 0.2 + 0.4),  # one of each, which the library takes for none
        ((indices(0), indices(1), indices(), indices()), 0.2),
        ((indices(0, 2), indices(1, 3), indices(1), indices(2)), 0.2 + 0.76),
        ((indices(0, 1), indices(1, 0), indices(2, 3)), 0.2 + (0.4 + 0.4) / 2),  # triplets
        ((indices(), indices(), indices(), indices()), 0.0),
    ],
    ids=["one each", "one positive", "two positives", "triplets", "none"],
)
def test_a_miners_pairs_are_the_only_ones(pairs, expected):
    loss = Contrastive()(LossInput(EMBEDDINGS, LABELS, pairs=pairs))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_length_does_not_matter():
    loss = Contrastive()
    short, long = (float(loss(LossInput(factor * EMBEDDINGS, LABELS))) for factor in (0.1, 50.0))
    assert short == pytest.approx(long, rel=1e-5)


def test_margins_given_as_distances_are_refused():
    with pytest.raises(RecipeError) as caught:
        Contrastive(positive_margin=0.0, negative_margin=1.0)
    assert str(caught.value) == (
        "loss contrastive: negative_margin 1.0 is not below positive_margin 0.0. "
        "Both are cosine similarities, higher is closer; distances go the other way."
    )
