"""Two processes compute the gradient of one with the whole batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from support.two_processes import batch, loss_of, work
from torch import nn

from metricface.machine import World, current_world
from metricface.training.distributed import gather


@pytest.mark.skipif(not dist.is_gloo_available(), reason="torch was built without gloo")
def test_gather_and_ddp_give_the_gradient_of_one_process_with_the_whole_batch(tmp_path: Path) -> None:
    mp.spawn(work, args=(str(tmp_path / "store"), str(tmp_path)), nprocs=2)
    torch.manual_seed(0)
    alone = nn.Linear(4, 2)
    images, labels, conditions, indices = batch()
    embeddings = alone(images)
    loss_of(embeddings, labels).backward()
    for rank in range(2):
        saved = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(saved["grad"], alone.weight.grad)
        torch.testing.assert_close(saved["embeddings"], embeddings.detach())
        assert torch.equal(saved["labels"], labels)
        assert torch.equal(saved["conditions"], conditions)
        assert torch.equal(saved["indices"], indices)
        assert saved["world"].tolist() == [rank, 2, False, rank == 0]


def test_alone_it_is_the_identity() -> None:
    given = batch()
    assert all(ours is theirs for ours, theirs in zip(gather(*given), given, strict=True))
    assert current_world() == World(0, 1)
