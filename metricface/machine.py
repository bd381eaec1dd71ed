"""What this machine offers: cores, a device, processes to load and to train with. Importing this loads no torch."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from metricface.errors import RecipeError

if TYPE_CHECKING:
    import torch

_RECORDED = (
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "opencv-python-headless",
    "albumentations",
    "pytorch-metric-learning",
)
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_LIMIT = Path("/sys/fs/cgroup/memory.max")
_STATUS = Path("/proc/self/status")
_PROCESSORS = Path("/proc/cpuinfo")
_MOST_WORKERS = 8
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT, _LARGEST = 2**31 - 1, 2**30  # bytes; mallopt takes an int
_KEPT_BY_DEFAULT, _LARGEST_BY_DEFAULT = 2**26, 2**25  # what glibc arrives at by itself (M_MMAP_THRESHOLD in mallopt(3))
WAIT_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


@dataclass(frozen=True, slots=True)
class World:
    """The processes that train together, seen from one of them; alone unless said otherwise.

    Args:
        rank: number of this process, from 0.
        size: how many processes there are.
    """

    rank: int = 0
    size: int = 1

    def __post_init__(self) -> None:
        assert 0 <= self.rank < self.size, f"rank {self.rank} of {self.size} processes"

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and talks to the user."""
        return self.rank == 0

    def offered(self) -> dict[str, int]:
        """Return what components ask for by name: `rank` and `world_size`."""
        return {"rank": self.rank, "world_size": self.size}


ALONE = World()


def current_world() -> World:
    """Return the world of this process, from torch.distributed where that has begun."""
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return ALONE
    return World(dist.get_rank(), dist.get_world_size())


def usable_cores() -> int:
    """Return the cores that this process may use: its affinity, less where a container's quota allows fewer."""
    affinity: Callable[[int], set[int]] = getattr(os, "sched_getaffinity", lambda _: set(range(os.cpu_count() or 1)))
    cores = len(affinity(0))
    with contextlib.suppress(OSError, ValueError):
        quota, period = _QUOTA.read_text(encoding="utf-8").split()
        cores = min(cores, max(1, round(int(quota) / int(period))))  # "max" is no number: no quota
    return cores


def memory_size() -> int:
    """Return the bytes of memory that this process may use: the machine's, less where a container allows fewer."""
    size = sys.maxsize
    with contextlib.suppress(AttributeError, ValueError, OSError):  # no such question on Windows
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):
        size = min(size, int(_LIMIT.read_text(encoding="utf-8")))  # "max" is no number: no limit
    return size


def peak_memory() -> int | None:
    """Return the most bytes of memory that this process has held at once (resident), None where nothing says so."""
    with contextlib.suppress(OSError, StopIteration):  # no such file but on Linux
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    with contextlib.suppress(ImportError):  # no such module on Windows
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return None


def memory_taken() -> str:
    """Return "4.1 of 15.6 GiB of memory": peak_memory of memory_size; "" where nothing says so."""
    peak = peak_memory()
    return "" if peak is None else f"{peak / 2**30:.1f} of {memory_size() / 2**30:.1f} GiB of memory"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory, the machine's or a GPU's, is used up.

    torch has a type of its own for a GPU's, and a RuntimeError with these words for the machine's.
    """
    kind = type(error).__name__
    return isinstance(error, MemoryError) or kind == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)


def reuse_freed_memory(reuse: bool = True) -> bool:
    """Let this process keep the memory that it frees, for its next tensors; return whether the C library can do that.

    Args:
        reuse: False gives it back from now on, as without this: less memory is taken, and more time.

    By default glibc gives every block of more than 32 MiB back to the system at once, and each step of training takes
    hundreds of them anew, page by page: with EfficientNet-Lite0 at 112 px, batch 96, that is a third of the time on a
    CPU. Only for a process of our own: the setting is for all of it.

    Source:
        mallopt(3).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    kept, largest = (_KEPT, _LARGEST) if reuse else (_KEPT_BY_DEFAULT, _LARGEST_BY_DEFAULT)
    return mallopt is not None and bool(mallopt(_M_TRIM_THRESHOLD, kept) and mallopt(_M_MMAP_THRESHOLD, largest))


def wait_without_spinning() -> bool:
    """Let OpenMP's threads sleep while they wait for each other, unless the user chose; return whether this did so.

    By default they spin, which on a machine that does anything else as well takes the cores from the threads that they
    wait for: training is several times slower then (benchmarks/busy_machine.md). OpenMP reads the variable when it is
    loaded, so this comes before torch is imported; processes that this one starts inherit it. Only for a process of our
    own.

    Source:
        OpenMP 5.2, 21.7; GOMP_SPINCOUNT of GNU libgomp and KMP_BLOCKTIME of Intel's and LLVM's library say the same.
    """
    if any(name in os.environ for name in WAIT_VARIABLES):
        return False
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    return True


def choose_device(wanted: str, where: str = "train.device") -> torch.device:
    """Return the device for `train.device`: "auto" takes CUDA when there is one.

    Args:
        wanted: "auto", or what torch calls a device.
        where: it was asked for, for the message.

    Raises:
        RecipeError: no such device here.
    """
    import torch

    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device).cpu()  # "meta" can make a tensor and compute nothing
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0].removesuffix(".")
        here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        usable = ["auto", "cpu", *(name for name, is_here in here.items() if is_here)]
        raise RecipeError(
            f"{where}: {wanted!r} is not on this machine ({reason}). Use {', '.join(map(json.dumps, usable))}."
        ) from error
    return device


def worker_count(wanted: int | str, device: torch.device) -> int:
    """Return the loader's processes: by default none on a CPU, where they would compete with training."""
    if isinstance(wanted, int):
        return wanted
    return min(_MOST_WORKERS, usable_cores() - 1) if device.type == "cuda" else 0


@contextlib.contextmanager
def computing_threads(wanted: int | str) -> Iterator[None]:
    """Let torch compute with so many threads, and afterwards with as many as before; "auto" changes nothing."""
    import torch

    before = torch.get_num_threads()
    if isinstance(wanted, int):
        torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def device_name(device: torch.device) -> str:
    """Return the device as a reader would name it."""
    import torch

    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({platform.machine()}, {torch.get_num_threads()} threads)"


def processor_name() -> str:
    """Return the model of the processor."""
    lines = _PROCESSORS.read_text(encoding="utf-8").splitlines() if _PROCESSORS.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def machine_conditions(device: torch.device) -> dict[str, str]:
    """Return what the speed of a model depends on besides the model: device, processor, threads and torch."""
    import torch

    return {
        "device": device_name(device),
        "processor": f"{processor_name()} ({torch.backends.cpu.get_cpu_capability()})",
        "torch": torch.__version__,
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in _RECORDED}}
