"""Which components of other packages were loaded on this machine before, as they and all around them are now."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

import metricface
from metricface.components.registry import Entry
from metricface.training.measured_before import recall, remember


@dataclass(frozen=True, slots=True)
class LoadCheck:
    """What came of loading a component: why it is broken, or "", and the first line of its docstring."""

    reason: str = ""
    summary: str = ""


def loaded_before(entries: Sequence[Entry]) -> dict[Entry, LoadCheck]:
    """Return those that loaded well and of which nothing has changed since, with the docstring's first line."""
    recalled = {entry: recall(_conditions(entry)) for entry in entries}
    return {
        entry: LoadCheck(summary=found["summary"])
        for entry, found in recalled.items()
        if found is not None and isinstance(found.get("summary"), str)
    }


def remember_loaded(found: Mapping[Entry, LoadCheck]) -> None:
    """Keep those that loaded well; a broken one is tried each time, so that its repair is seen at once."""
    for entry, check in found.items():
        if not check.reason:
            remember(_conditions(entry), {"summary": check.summary})


def find_module(module: str) -> ModuleSpec | None:
    """Find a module without importing the packages around it, as importlib.util.find_spec would."""
    top, *inner = module.split(".")
    spec, found = importlib.util.find_spec(top), top
    for part in inner:
        found += f".{part}"
        spec = spec and PathFinder.find_spec(found, list(spec.submodule_search_locations or ()))
    return spec


def _conditions(entry: Entry) -> dict[str, Any]:
    """Return what decides whether a component loads: its own files, ours, and every installed package."""
    top = entry.value.partition(":")[0].partition(".")[0]
    return {
        "loads": [entry.kind, entry.value, entry.distribution, entry.version],
        "files": _files(top),
        "metricface": _files(metricface.__name__),
        "python": [sys.version, sys.prefix],
        "installed": _installed(),
    }


@cache
def _files(top: str) -> list[list[Any]]:
    """Return path, time and size of every file of a top-level module or package that Python may import."""
    try:
        spec = find_module(top)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    paths = [path for folder in folders for path in folder.rglob("*.py")] if folders else [Path(spec.origin or "")]
    return [[str(path), path.stat().st_mtime_ns, path.stat().st_size] for path in sorted(paths) if path.is_file()]


@cache
def _installed() -> list[str]:
    """Return the names of the folders that installers keep of each package, which tell its version too."""
    folders = [Path(folder) for folder in sys.path if Path(folder).is_dir()]
    return sorted({str(path) for folder in folders for path in folder.glob("*.dist-info")})
