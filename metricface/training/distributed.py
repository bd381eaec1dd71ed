"""How several processes see one batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

Gather = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def gather(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the embeddings (W * B, D) and labels (W * B,) of all W processes, with gradient; alone, return them as is.

    Every rank then computes the same loss over the whole batch. The gradient of an all-gather is the sum over ranks,
    so a rank's embeddings receive W times the gradient of that loss; DistributedDataParallel averages parameter
    gradients over ranks, which divides by W again. Together: the gradient of one process with the whole batch.
    Heads and losses stay outside DDP: every rank computes their full gradient already.

    Ranks may bring batches of different sizes: they are padded for the exchange and cut again.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return embeddings, labels
    sizes = _exchange_sizes(embeddings)
    largest = max(sizes)
    missing = largest - len(embeddings)
    padded = torch.nn.functional.pad(embeddings, (0, 0, 0, missing))
    padded_labels = torch.nn.functional.pad(labels, (0, missing))
    label_parts = [torch.empty_like(padded_labels) for _ in sizes]
    dist.all_gather(label_parts, padded_labels)
    parts: Tensor = _AllGather.apply(padded)
    return (
        torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)]),
        torch.cat([part[:size] for part, size in zip(label_parts, sizes, strict=True)]),
    )


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
