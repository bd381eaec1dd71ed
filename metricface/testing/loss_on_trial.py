"""A loss with the batches that it is tried on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from metricface.contracts import LossInput
from metricface.errors import RecipeError
from metricface.testing.engine import Trial, Violation
from metricface.testing.gradients import backward
from metricface.testing.randomness import seeded
from metricface.testing.tensors import DIM, embeddings_of, offered_to_heads, photo_facts

# Classes of the data and logits of the head, in the order in which they are tried: a binary loss takes one logit only.
_SETTINGS = ((5, 5), (2, 2), (2, 1))


@dataclass(frozen=True, slots=True)
class Case:
    """A batch: the labels, embeddings from N(0, 1) of a seed, the pairs of a miner, and the rows' order once moved."""

    labels: tuple[int, ...]
    seed: int = 0
    pairs: tuple[tuple[int, ...], ...] | None = None
    order: tuple[int, ...] = ()

    def __str__(self) -> str:
        mined = "" if self.pairs is None else f", a miner's pairs {list(map(list, self.pairs))}"
        return f"labels {list(self.labels)}, embeddings ({len(self.labels)}, {DIM}){mined}"

    def embeddings(self) -> Tensor:
        """Return (B, D)."""
        return embeddings_of(len(self.labels), self.seed)


@dataclass(frozen=True, slots=True)
class LossOnTrial:
    """A loss that takes `num_logits` logits of `num_classes` classes, from a linear head of the kit's own."""

    trial: Trial
    num_classes: int
    num_logits: int
    weight: Tensor = field(init=False)  # (C', D)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        object.__setattr__(self, "weight", torch.randn(self.num_logits, DIM, generator=generator))

    @property
    def on_logits(self) -> bool:
        """Whether it wants a head."""
        return getattr(self.trial.component, "consumes", "") == "logits"

    @property
    def looks_at_pairs(self) -> bool:
        """Whether a miner's choice may change it."""
        return not self.on_logits and bool(getattr(self.trial.component, "uses_pairs", True))

    def make(self, seed: int = 0) -> Any:
        """Make the loss, its parameters drawn from a seed."""
        with seeded(seed):
            return self.trial.make(offered_to_heads(self.num_classes))

    def given(self, embeddings: Tensor, case: Case) -> LossInput:
        """Return what a training step would give to the loss."""
        labels = torch.tensor(case.labels)
        pairs = None if case.pairs is None else tuple(torch.tensor(part, dtype=torch.int64) for part in case.pairs)
        facts = photo_facts(case.labels, self.num_classes, case.order)
        if not self.on_logits:
            return LossInput(embeddings, labels, pairs=pairs, **facts)
        return LossInput(embeddings, labels, embeddings @ self.weight.to(embeddings.dtype).T, labels, pairs, **facts)

    def value(self, loss: Any, case: Case, embeddings: Tensor | None = None) -> Tensor:
        """Return the loss of a batch, whose random numbers are those of a seed."""
        with seeded():
            value: Tensor = loss(self.given(case.embeddings() if embeddings is None else embeddings, case))
        return value

    def learns(self, case: Case) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch and its gradient (B, D) at the embeddings, both finite."""
        loss, embeddings = self.make(), case.embeddings().requires_grad_()
        value = self.value(loss, case, embeddings)
        if not isinstance(value, Tensor) or value.shape != () or not value.is_floating_point():
            shown = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise Violation(f"{case}: gives {shown}, not a scalar tensor")
        if not value.isfinite():
            raise Violation(f"{case}: gives {float(value.detach())}")
        return value, backward(value, embeddings, loss, str(case))

    def batch(self, size: int, seed: int = 0) -> Case:
        """Return a batch with two photos of each person in turn."""
        return Case(tuple(place // 2 % self.num_classes for place in range(size)), seed)


def prepare(trial: Trial) -> LossOnTrial:
    """Return the loss with the first setting that it does not refuse."""
    refusals = []
    for setting in _SETTINGS:
        tried = LossOnTrial(trial, *setting)
        try:
            tried.value(tried.make(), tried.batch(8))
        except RecipeError as error:
            refusals.append(error)
            continue
        except Exception:  # what it raises in a call is for the checks to find; it can be made
            tried.make()
        return tried
    raise refusals[0]
