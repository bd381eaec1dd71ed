from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.fakes import PREPROCESSING, MemoryDataset

from metricface import machine
from metricface.data import in_order
from metricface.data import photos as loading
from metricface.data.making import beforehand, tree
from metricface.data.photos import Photos
from metricface.errors import RecipeError
from metricface.machine import World, choose_device, computing_threads, memory_size, usable_cores, worker_count


@pytest.fixture(autouse=True)
def eight_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 16 cores of which this process may use 8; return the file of the container's quota."""
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(machine, "_QUOTA", tmp_path / "cpu.max")
    return tmp_path / "cpu.max"


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 8), ("250000 100000", 2), ("10000 100000", 1), ("3200000 100000", 8), ("nonsense", 8), (None, 8)],
)
def test_cores_are_those_of_the_affinity_less_the_quota(quota: str | None, cores: int, eight_cores: Path) -> None:
    if quota is not None:
        eight_cores.write_text(f"{quota}\n")
    assert usable_cores() == cores


def test_without_affinity_all_cores_are_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == 16


@pytest.mark.parametrize(("limit", "size"), [("max", 2**34), ("1048576", 2**20), (str(2**40), 2**34), (None, 2**34)])
def test_memory_is_that_of_the_machine_less_the_limit(
    limit: str | None, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 2**12, "SC_PHYS_PAGES": 2**22}.__getitem__, raising=False)
    monkeypatch.setattr(machine, "_LIMIT", tmp_path / "memory.max")
    if limit is not None:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
    assert memory_size() == size
    monkeypatch.delattr(os, "sysconf")
    assert memory_size() == (sys.maxsize if size == 2**34 and limit in ("max", None) else int(limit or 0))


def test_workers_leave_a_core_to_training_and_are_none_on_a_cpu(eight_cores: Path) -> None:
    eight_cores.write_text("400000 100000\n")
    assert worker_count("auto", torch.device("cuda")) == 3
    eight_cores.write_text("100000 100000\n")
    assert worker_count("auto", torch.device("cuda")) == 0
    assert worker_count("auto", torch.device("cpu")) == 0
    assert worker_count(5, torch.device("cpu")) == 5


def test_a_world_offers_its_rank_and_size_by_the_names_that_components_ask_for() -> None:
    assert World(2, 4).offered() == {"rank": 2, "world_size": 4}
    assert (World(2, 4).alone, World(2, 4).is_first) == (False, False)
    assert (World().alone, World().is_first) == (True, True)
    with pytest.raises(AssertionError, match="rank 4 of 4 processes"):
        World(4, 4)


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == torch.device("cpu")
    for has_cuda, usable in ((False, '"auto", "cpu"'), (True, '"auto", "cpu", "cuda"')):
        monkeypatch.setattr(torch.cuda, "is_available", lambda has=has_cuda: has)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        with pytest.raises(
            RecipeError, match=rf"^train\.device: 'gpu' is not on this machine \([^\n]*\)\. Use {usable}\.$"
        ):
            choose_device("gpu")
    with pytest.raises(RecipeError, match=r"^--device: 'meta' is not on this machine \(Cannot copy out of meta tensor"):
        choose_device("meta", "--device")  # torch makes tensors on it, and computes nothing


def test_why_a_device_cannot_be_used_is_the_first_sentence_that_torch_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def empty(*_: object, **__: object) -> None:
        raise RuntimeError("Found no NVIDIA driver on your system. Please see http://x.example. Or not.\nAt: line 3")

    monkeypatch.setattr(torch, "empty", empty)
    with pytest.raises(RecipeError, match=r"'cuda' is not on this machine \(Found no NVIDIA driver on your system\)"):
        choose_device("cuda")


def test_photos_are_read_and_written_with_the_usable_cores_alone(
    tmp_path: Path, eight_cores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int | None] = []

    class Pool(loading.ThreadPoolExecutor):
        def __init__(self, count: int | None = None) -> None:
            threads.append(count)
            super().__init__(count)

    for module in (loading, beforehand, tree, in_order):
        monkeypatch.setattr(module, "ThreadPoolExecutor", Pool)
    eight_cores.write_text("200000 100000\n")
    Photos(MemoryDataset(), PREPROCESSING, 1 << 20)
    tree.write_tree(tmp_path / "tree", [], {}, seed=0)
    assert len(list(in_order.batches_in_order(MemoryDataset(), PREPROCESSING, batch_size=24))) == 1
    assert threads == [2, 2, 2, 2]


FAULTS = """
import resource, sys
import numpy as np
from metricface.machine import reuse_freed_memory
reused = sys.argv[1] != "as it is" and reuse_freed_memory()
if sys.argv[1] == "given back again":
    reuse_freed_memory(False)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(2**24, np.float32)
before = faults()
for _ in range(10):
    np.ones(2**24, np.float32)
print(reused, faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_freed_memory_is_used_again_without_page_faults() -> None:
    found = {}
    for how in ("reuse", "given back again", "as it is"):
        command = [sys.executable, "-c", FAULTS, how]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[how] = done.stdout.split()
    assert found["reuse"][0] == "True"
    assert int(found["reuse"][1]) < int(found["as it is"][1]) / 10
    assert int(found["given back again"][1]) > 10 * max(1, int(found["reuse"][1]))  # of how many pages each is, varies


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: object())
    assert machine.reuse_freed_memory() is False


def test_the_variable_is_set_where_the_user_chose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in machine.WAIT_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in machine.WAIT_VARIABLES:
        monkeypatch.setenv(name, "1")
        assert machine.wait_without_spinning() is False
        monkeypatch.delenv(name)
        assert "OMP_WAIT_POLICY" not in os.environ
    monkeypatch.setenv("OMP_WAIT_POLICY", "")  # so that it is put back as it was
    del os.environ["OMP_WAIT_POLICY"]
    assert machine.wait_without_spinning() is True
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_threads_are_set_for_a_while_and_auto_leaves_them_alone() -> None:
    before = torch.get_num_threads()
    with computing_threads(before + 2):
        assert torch.get_num_threads() == before + 2
        with computing_threads("auto"):
            assert torch.get_num_threads() == before + 2
    assert torch.get_num_threads() == before
    with pytest.raises(ZeroDivisionError), computing_threads(before + 2):
        1 / 0  # noqa: B018 - it is to fail
    assert torch.get_num_threads() == before
