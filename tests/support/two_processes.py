"""Two processes with a part of one batch each; here, since a process that is spawned must find its function."""

from __future__ import annotations

import os
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from metricface.training.distributed import gather

SIZES = (3, 5)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(sum(SIZES), 4, generator=generator), torch.arange(sum(SIZES)) % 3


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
    images, labels = batch()
    start = sum(SIZES[:rank])
    own = slice(start, start + SIZES[rank])
    embeddings, every_label = gather(model(images[own]), labels[own])
    loss_of(embeddings, every_label).backward()
    return {"grad": model.module.weight.grad, "labels": every_label}
