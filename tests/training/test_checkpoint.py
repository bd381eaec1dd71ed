"""A checkpoint on a full disk."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from metricface.errors import TrainingError
from metricface.training.checkpoint import read_checkpoint, save_checkpoint
from metricface.training.state import TrainingState

resource = pytest.importorskip("resource", reason="Windows limits no file sizes")


class State:
    def __init__(self, size: int) -> None:
        self.size = size

    def state_dict(self) -> dict[str, Any]:
        return {"weights": torch.zeros(self.size)}


def save(path: Path, size: int) -> None:
    save_checkpoint(path, cast(TrainingState, State(size)), "digest")


@pytest.fixture
def limit() -> Any:
    """Limits the size of files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [200_000, 15_000])  # fails in the middle, and at the end of the archive
def test_a_full_disk_is_said_and_the_earlier_checkpoint_stays(
    size: int, tmp_path: Path, limit: Callable[[int], None]
) -> None:
    path = tmp_path / "last.pt"
    save(path, 10)
    limit(60_000)
    message = (
        f"{path}: cannot be written (File too large); an earlier checkpoint there is as it was. "
        "Make room, then go on with --resume."
    )
    with pytest.raises(TrainingError, match=f"^{re.escape(message)}$"):
        save(path, size)
    assert read_checkpoint(path, "digest")["weights"].shape == (10,)
    assert [found.name for found in tmp_path.iterdir()] == ["last.pt"]


def test_what_is_no_fault_of_the_disk_is_not_said_to_be_one(tmp_path: Path) -> None:
    class Odd(State):
        def state_dict(self) -> dict[str, Any]:
            raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match=r"^ours$"):
        save_checkpoint(tmp_path / "last.pt", cast(TrainingState, Odd(1)), "digest")
