"""What every miner of this package keeps to: a new one is tested by being registered."""

from __future__ import annotations

import pytest
import torch

from metricface.components.registry import Registry
from metricface.contracts import KINDS, Miner

REGISTRY = Registry(KINDS["miner"])
NAMES = [entry.name for entry in REGISTRY.entries() if entry.distribution == "metricface"]
SETTINGS = {"pml": {"miner": "BatchHardMiner"}}  # what has no default

every_miner = pytest.mark.parametrize("name", NAMES)


def miner(name: str) -> Miner:
    return REGISTRY.load(f"metricface:{name}")(**SETTINGS.get(name, {}))


def test_there_are_miners_to_test() -> None:
    assert {"batch-hard", "semi-hard", "pml"} <= set(NAMES)


@every_miner
@pytest.mark.parametrize("labels", [[0], [0, 0, 0], [0, 1, 2]], ids=["one photo", "one person", "no positive"])
def test_nothing_to_mine(name: str, labels: list[int]) -> None:
    mined = miner(name)(torch.randn(len(labels), 4), torch.tensor(labels))
    assert [(len(indices), indices.dtype) for indices in mined] == [(0, torch.int64)] * len(mined)


@every_miner
def test_nothing_is_rounded_under_autocast_and_nothing_is_differentiated(name: str) -> None:
    torch.manual_seed(0)
    vectors, labels = torch.randn(30, 8, requires_grad=True), torch.arange(30) % 5
    expected = miner(name)(vectors, labels)
    with torch.autocast("cpu", torch.bfloat16):
        mined = miner(name)(vectors, labels)
    assert len(mined[0]) >= 30
    assert all(map(torch.equal, mined, expected))
    assert not any(indices.requires_grad for indices in mined)
    assert len(miner(name)(vectors.bfloat16(), labels)[0])
