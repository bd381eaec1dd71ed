"""What the checks of losses, heads and backbones have in common: embeddings, states, inputs that must stay."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metricface.machine import ALONE
from metricface.testing.engine import Violation
from metricface.testing.randomness import seeded

DIM = 8  # D of every embedding here


def embeddings_of(size: int, seed: int = 0) -> Tensor:
    """Return (B, D) from N(0, 1), of another length in each row, as a network gives them."""
    return torch.randn(size, DIM, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


def offered_to_heads(num_classes: int) -> dict[str, Any]:
    """Return what build offers to heads and losses, for classes of different sizes."""
    return {
        "embedding_dim": DIM,
        "num_classes": num_classes,
        "class_counts": np.arange(2, 2 + num_classes),
        **ALONE.offered(),
    }


def photo_facts(labels: Sequence[int], num_classes: int, order: Sequence[int] = ()) -> dict[str, Tensor]:
    """Return `conditions` and `indices` (B,) of a batch of the photos that `offered_to_heads` counts.

    Photos of a class come in turn, and every other photo is distorted; a label that is no class has photo 0.

    Args:
        labels: (B,).
        num_classes: of the data.
        order: the row that each row had before the batch was put into another order; () for the rows as they are.
    """
    counts = offered_to_heads(num_classes)["class_counts"].tolist()
    first = torch.tensor(labels)
    rows = torch.tensor(order, dtype=torch.int64) if order else torch.arange(len(labels))
    first[rows] = torch.tensor(labels)
    seen, indices = Counter[int](), []
    for label in first.tolist():
        known = 0 <= label < num_classes
        indices.append(sum(counts[:label]) + seen[label] % counts[label] if known else 0)
        seen[label] += 1
    own = torch.tensor(indices)[rows]
    return {"conditions": own % 2, "indices": own}


def carry_over(source: Any, target: Any) -> None:
    """Load into `target` what `source` saved, through a file of which only tensors and plain values are read."""
    saved = io.BytesIO()
    torch.save(source.state_dict(), saved)
    saved.seek(0)
    target.load_state_dict(torch.load(saved, weights_only=True))


def edits_nothing(given: Mapping[str, Tensor | None], call: Callable[[], object], case: str) -> None:
    """Refuse a call that edits one of the tensors that it was given.

    Autograd counts most edits, also those that change no number; what is edited past it, by way of `.data` or numpy,
    differs from a copy.
    """
    there = {name: tensor for name, tensor in given.items() if tensor is not None}
    before = {name: (tensor._version, tensor.detach().clone()) for name, tensor in there.items()}
    with seeded():
        call()
    for name, tensor in there.items():
        version, copied = before[name]
        after = tensor.detach()
        if after.shape != copied.shape or after.dtype != copied.dtype:
            raise Violation(f"{case}: {name} is edited in place ({tuple(copied.shape)} became {tuple(after.shape)})")
        changed = (after != copied).nonzero().tolist()
        if changed:
            place = tuple(changed[0])
            numbers = f"{copied[place].item():.4g} became {after[place].item():.4g}"
            raise Violation(f"{case}: {name} is edited in place (at {list(place)} {numbers})")
        if tensor._version != version:
            raise Violation(f"{case}: {name} is edited in place")
