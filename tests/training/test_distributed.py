"""Two processes compute the gradient of one with the whole batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from support.two_processes import batch, loss_of, work
from torch import nn

from metricface.training.distributed import gather


@pytest.mark.skipif(not dist.is_gloo_available(), reason="torch was built without gloo")
def test_gather_and_ddp_give_the_gradient_of_one_process_with_the_whole_batch(tmp_path: Path) -> None:
    mp.spawn(work, args=(str(tmp_path / "store"), str(tmp_path)), nprocs=2)
    torch.manual_seed(0)
    alone = nn.Linear(4, 2)
    images, labels = batch()
    loss_of(alone(images), labels).backward()
    for rank in range(2):
        saved = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(saved["grad"], alone.weight.grad)
        assert torch.equal(saved["labels"], labels)


def test_alone_it_is_the_identity() -> None:
    images, labels = batch()
    assert gather(images, labels) == (images, labels)
