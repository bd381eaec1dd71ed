"""How several processes see one batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from metricface.machine import current_world

Gather = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor, Tensor]]


def gather(
    embeddings: Tensor, labels: Tensor, conditions: Tensor, indices: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the batches of all W processes as one, in rank order, embeddings with gradient; alone, the own as it is.

    Every rank then computes the same loss over the whole batch. The gradient of an all-gather is the sum over ranks,
    so a rank's embeddings receive W times the gradient of that loss; DistributedDataParallel averages parameter
    gradients over ranks, which divides by W again. Together: the gradient of one process with the whole batch.
    Heads and losses stay outside DDP: every rank computes their full gradient already.

    Ranks may bring batches of different sizes: they are padded for the exchange and cut again.

    Args:
        embeddings: (B, D) float32; (W * B, D) comes back.
        labels: (B,) int64; (W * B,) comes back, as with the other two.
        conditions: (B,) int64, see Batch.
        indices: (B,) int64, see Batch.
    """
    if current_world().alone:
        return embeddings, labels, conditions, indices
    sizes = _exchange_sizes(embeddings)
    missing = max(sizes) - len(embeddings)
    facts = torch.stack([labels, conditions, indices], dim=1)  # (B, 3): one exchange for all of them
    facts = torch.nn.functional.pad(facts, (0, 0, 0, missing))
    fact_parts = [torch.empty_like(facts) for _ in sizes]
    dist.all_gather(fact_parts, facts)
    parts: Tensor = _AllGather.apply(torch.nn.functional.pad(embeddings, (0, 0, 0, missing)))
    all_facts = torch.cat([part[:size] for part, size in zip(fact_parts, sizes, strict=True)])
    labels, conditions, indices = (column.contiguous() for column in all_facts.unbind(dim=1))
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)]), labels, conditions, indices


class _AllGather(torch.autograd.Function):
    """All-gather with gradient: (B, D) -> (W, B, D). A rank gets the sum of all ranks' gradients for its part."""

    @staticmethod
    def forward(_context: Any, own: Tensor) -> Tensor:
        parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, own.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total[dist.get_rank()]


def _exchange_sizes(embeddings: Tensor) -> list[int]:
    """Return every rank's batch size, in rank order."""
    own = torch.tensor([len(embeddings)], device=embeddings.device)
    sizes = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, own)
    return [int(size) for size in sizes]
