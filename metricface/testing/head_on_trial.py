"""A head with the batches that it is tried on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metricface.contracts import HeadOutput, photo_facts_of
from metricface.errors import RecipeError
from metricface.testing.engine import Trial, Violation
from metricface.testing.gradients import backward, first_not_finite
from metricface.testing.randomness import seeded
from metricface.testing.tensors import DIM, offered_to_heads, photo_facts

_CLASSES = (5, 2)  # as they are tried: a binary head takes two only


@dataclass(frozen=True, slots=True)
class HeadOnTrial:
    """A head for `num_classes` classes."""

    trial: Trial
    num_classes: int

    def make(self, seed: int = 0) -> Any:
        """Make the head, its prototypes drawn from a seed."""
        with seeded(seed):
            return self.trial.make(offered_to_heads(self.num_classes))

    def labels(self, size: int) -> list[int]:
        """Return two photos of each person in turn."""
        return [place // 2 % self.num_classes for place in range(size)]

    def given(self, head: Any, labels: Sequence[int], order: Sequence[int] = ()) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what a training step gives to a head after the embeddings: the labels, and by name what it asks for.

        Args:
            head: may ask for conditions and indices.
            labels: of a batch.
            order: the row that each row had before it was moved; () for none moved.
        """
        facts = photo_facts(labels, self.num_classes, order)
        return torch.tensor(labels), {name: facts[name] for name in photo_facts_of(head)}

    def call(
        self, head: Any, embeddings: Tensor, labels: Sequence[int] | None, order: Sequence[int] = ()
    ) -> HeadOutput:
        """Call a head, whose random numbers are those of a seed; its output has the shapes and types of the contract.

        Raises:
            Violation: it has not.
        """
        known, facts = (None, {}) if labels is None else self.given(head, labels, order)
        with seeded():
            output: HeadOutput = head(embeddings, known, **facts)
        case = f"embeddings {tuple(embeddings.shape)}, labels {labels}"
        if not isinstance(output, HeadOutput):
            raise Violation(f"{case}: gives a {type(output).__name__}, no HeadOutput")
        logits, targets, penalty = output.logits, output.targets, output.penalty
        if logits.ndim != 2 or len(logits) != len(embeddings):
            raise Violation(f"{case}: logits {tuple(logits.shape)}, not ({len(embeddings)}, C')")
        if labels is not None:
            if targets is None or targets.shape != (len(labels),) or targets.dtype != torch.int64:
                shown = None if targets is None else f"{targets.dtype} {tuple(targets.shape)}"
                raise Violation(f"{case}: targets {shown}, not int64 ({len(labels)},)")
            if not 0 <= int(targets.min()) <= int(targets.max()) < max(2, logits.shape[1]):
                raise Violation(f"{case}: targets {targets.tolist()} are no columns of logits {tuple(logits.shape)}")
        if penalty is not None and penalty.shape != ():
            raise Violation(f"{case}: the penalty has the shape {tuple(penalty.shape)}, it is no scalar")
        return output

    def cost(self, head: Any, embeddings: Tensor, labels: Sequence[int]) -> Tensor:
        """Return the cross-entropy of the logits, and the penalty."""
        output = self.call(head, embeddings, labels)
        logits, targets = output.logits, output.targets
        assert targets is not None
        if logits.shape[1] == 1:
            cost = F.binary_cross_entropy_with_logits(logits[:, 0], targets.to(logits.dtype))
        else:
            cost = F.cross_entropy(logits, targets)
        return cost if output.penalty is None else cost + output.penalty

    def learns(self, embeddings: Tensor, labels: Sequence[int], *, on_axes: bool = False) -> Tensor:
        """Return the gradient (B, D) of the cost at the embeddings; logits and all gradients are finite.

        Args:
            embeddings: (B, D) of a batch.
            labels: its B labels.
            on_axes: with the prototypes on the axes, where cosines of 1 and -1 are exact.
        """
        make = self._on_axes if on_axes else self.make
        head, leaf = make(), embeddings.clone().requires_grad_()
        case = f"embeddings {tuple(embeddings.shape)}, labels {list(labels)}"
        logits = self.call(head, leaf, labels).logits
        if not logits.isfinite().all():
            raise Violation(f"{case}: a logit is {first_not_finite(logits)}")
        head = make()  # the call above may have moved its state
        return backward(self.cost(head, leaf, labels), leaf, head, case)

    def _on_axes(self) -> Any:
        head = self.make()
        for parameter in head.parameters() if isinstance(head, nn.Module) else ():
            if parameter.ndim == 2 and parameter.shape[1] == DIM:
                parameter.data = torch.eye(DIM)[torch.arange(len(parameter)) % DIM]
        return head


def prepare(trial: Trial) -> HeadOnTrial:
    """Return the head with the first number of classes that it does not refuse."""
    refusals = []
    for num_classes in _CLASSES:
        try:
            HeadOnTrial(trial, num_classes).make()
        except RecipeError as error:
            refusals.append(error)
        else:
            return HeadOnTrial(trial, num_classes)
    raise refusals[0]
