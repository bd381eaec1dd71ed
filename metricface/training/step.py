"""One training step: the heart of the project."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from metricface.contracts import Batch, LossInput
from metricface.training.not_finite import not_finite
from metricface.training.returned import checked_loss, checked_output, checked_pairs
from metricface.training.state import StepDone, TrainingState


def train_step(state: TrainingState, batch: Batch) -> StepDone:
    """Update the state by one batch.

    model -> gather -> head -> weighted sum of losses and penalty -> finite? -> backward -> clip -> optimizer -> EMA.

    Raises:
        NotFiniteError: a loss or the gradient is not finite; the parameters are then as before the step.
        WrongReturnError: a head, miner or loss does not return what its contract says.
    """
    batch = batch.to(state.device)
    with state.precision.autocast(state.device):
        embeddings = state.model(batch.images)  # (B, D)
    gathered = state.gather(embeddings.float(), batch.labels, batch.conditions, batch.indices)
    embeddings, labels, conditions, indices = gathered
    facts = {"conditions": conditions, "indices": indices}
    logits = targets = penalty = None
    if state.head is not None:
        asked = {name: facts[name] for name in state.head_asks}
        output = checked_output(state.head, state.head(embeddings, labels, **asked), embeddings)
        logits, targets, penalty = output.logits, output.targets, output.penalty
    pairs = _mined(state, embeddings, labels, facts)
    given = LossInput(embeddings, labels, logits, targets, pairs, conditions, indices)
    values = {term.name: checked_loss(term.loss, term.loss(given)) for term in state.losses}
    total = torch.stack([term.weight * values[term.name] for term in state.losses]).sum()
    if penalty is not None:
        values["penalty"], total = penalty, total + penalty
    losses = _finite(values, state, batch, embeddings)
    learning_rate = state.apply_schedule()
    state.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(state.scaler.scale(total))
    state.scaler.unscale_(state.optimizer)
    grad_norm = float(torch.nn.utils.clip_grad_norm_(state.trained_parameters, state.gradient_clip or math.inf))
    if not math.isfinite(grad_norm) and not state.scaler.is_enabled():
        raise not_finite(state, batch, embeddings, "the gradient is not finite")
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.step += 1
    state.position += 1
    state.update_average()
    return StepDone(state.step, state.epoch, losses, grad_norm, learning_rate)


def _mined(
    state: TrainingState, embeddings: Tensor, labels: Tensor, facts: Mapping[str, Tensor]
) -> tuple[Tensor, ...] | None:
    """Return the pairs or triplets that the miner chooses, None without one."""
    if state.miner is None:
        return None
    asked = {name: facts[name] for name in state.miner_asks}
    return checked_pairs(state.miner, state.miner(embeddings, labels, **asked))


def _finite(values: Mapping[str, Tensor], state: TrainingState, batch: Batch, embeddings: Tensor) -> dict[str, float]:
    """Return the losses as numbers (one transfer from the device), or refuse the step."""
    numbers = torch.stack([value.detach().float() for value in values.values()]).tolist()
    losses = dict(zip(values, numbers, strict=True))
    for name, value in losses.items():
        if not math.isfinite(value):
            raise not_finite(state, batch, embeddings, f"loss {name!r} is {value}, nothing was updated")
    return losses
