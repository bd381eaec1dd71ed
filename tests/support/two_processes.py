"""Two processes with a part of one batch each; here, since a process that is spawned must find its function."""

from __future__ import annotations

import os
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from metricface.machine import current_world
from metricface.training.distributed import gather

SIZES = (3, 5)


def batch() -> tuple[torch.Tensor, ...]:
    """Images (8, 4), labels, conditions and indices (8,), each of another order."""
    generator = torch.Generator().manual_seed(0)
    images, rows = torch.randn(sum(SIZES), 4, generator=generator), torch.arange(sum(SIZES))
    return images, rows % 3, rows % 2, 2**40 + 7 * rows


def loss_of(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    same = (labels[:, None] == labels[None, :]).float()
    return ((embeddings @ embeddings.T) * (same - 0.3)).tanh().mean()


def work(rank: int, store: str, out: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    torch.manual_seed(0)
    torch.save(gradient_of(rank), Path(out, f"{rank}.pt"))
    dist.barrier()  # no rank leaves while another still talks to it
    dist.destroy_process_group()
    os._exit(0)  # gloo's threads can outlive the interpreter's own shutdown, which then aborts, now and then


def gradient_of(rank: int) -> dict[str, torch.Tensor | None]:
    model = nn.parallel.DistributedDataParallel(nn.Linear(4, 2))
    start = sum(SIZES[:rank])
    images, *facts = (part[start : start + SIZES[rank]] for part in batch())
    embeddings, labels, conditions, indices = gather(model(images), *facts)
    loss_of(embeddings, labels).backward()
    world = current_world()
    return {
        "grad": model.module.weight.grad,
        "embeddings": embeddings.detach(),
        "labels": labels,
        "conditions": conditions,
        "indices": indices,
        "world": torch.tensor([world.rank, world.size, world.alone, world.is_first]),
    }
