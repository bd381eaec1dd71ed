"""What every loss that reads logits keeps to: a new one is tested by being registered."""

from __future__ import annotations

import pytest
import torch

from metricface.components.registry import Registry
from metricface.contracts import KINDS, LossInput
from metricface.errors import RecipeError

REGISTRY = Registry(KINDS["loss"])
NAMES = [
    entry.name
    for entry in REGISTRY.entries()
    if entry.distribution == "metricface" and REGISTRY.load(f"metricface:{entry.name}").consumes == "logits"
]


def test_there_are_losses_to_test() -> None:
    assert {"bce", "cross-entropy", "focal"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_head_it_says_what_to_add(name: str) -> None:
    loss = REGISTRY.load(f"metricface:{name}")()
    with pytest.raises(RecipeError, match=rf"^loss {name}: there are no logits\. Add a \[head\], for instance "):
        loss(LossInput(torch.randn(4, 8), torch.tensor([0, 1, 0, 1])))
