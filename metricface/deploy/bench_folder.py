"""Where a benchmark of indexes keeps its task, its indexes and what is measured, so that nothing is done twice."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from metricface.errors import UsageError
from metricface.evaluation.index_task import SearchTask
from metricface.files import write_atomically, write_json
from metricface.functional.metrics.index_loss import Truth, exact_truth
from metricface.recipe.schema import ComponentSpec

_MARK = "index_bench.json"
_ARRAYS = ("gallery", "gallery_people", "probes", "probe_people", "conditions")


@dataclass(frozen=True, slots=True)
class BenchFolder:
    """A folder with one task in it; `path` is where."""

    path: Path

    @classmethod
    def of(cls, parent: Path, task: SearchTask, *, force: bool = False) -> BenchFolder:
        """Return the folder of a task below one of benchmarks; what was measured on an equal task is there.

        Raises:
            UsageError: `parent` is there and no folder of benchmarks, or cannot be made.
        """
        if parent.exists() and (not parent.is_dir() or (any(parent.iterdir()) and not (parent / _MARK).is_file())):
            raise UsageError(f"{parent}: is there already and holds no benchmark of indexes. Name another with --out.")
        folder = cls(parent / _digest(task))
        try:
            if force:
                shutil.rmtree(folder.path, ignore_errors=True)
            folder.path.mkdir(parents=True, exist_ok=True)
            write_json(parent / _MARK, {"format": 1})
        except OSError as error:
            raise UsageError(f"{parent}: cannot be written to ({error.strerror}). Name another with --out.") from error
        folder._write_task(task)
        return folder

    def _write_task(self, task: SearchTask) -> None:
        """Write what is not there yet."""
        for name in _ARRAYS:
            path = self.path / f"{name}.npy"
            if not path.is_file():
                write_atomically(path, lambda file, name=name: np.save(file, getattr(task, name)))  # type: ignore[misc]
        write_json(self.path / "task.json", {"condition_names": list(task.condition_names), "about": task.about})

    def task(self) -> SearchTask:
        """Return the task, its vectors memory-mapped."""
        arrays: dict[str, Any] = {
            name: np.load(self.path / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS
        }
        about = json.loads((self.path / "task.json").read_bytes())
        return SearchTask(**arrays, condition_names=tuple(about["condition_names"]), about=about["about"])

    def truth(self, task: SearchTask, k: int) -> Truth:
        """Return what exact search finds, which is computed once."""
        path = self.path / f"truth-{k}.npz"
        if not path.is_file():
            found = exact_truth(task.probes, task.gallery, task.gallery_people, k)
            arrays: dict[str, Any] = {field.name: getattr(found, field.name) for field in fields(Truth)}
            write_atomically(path, lambda file: np.savez(file, **arrays))
        with np.load(path, allow_pickle=False) as stored:
            return Truth(**{field.name: stored[field.name] for field in fields(Truth)})

    def configuration(self, spec: ComponentSpec) -> Configuration:
        """Return where an index of a task is kept."""
        said = {"table": spec.table(), "distribution": spec.distribution, "version": spec.version}
        digest = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()
        return Configuration(self.path / f"{spec.name.replace(':', '-')}-{digest[:12]}")


@dataclass(frozen=True, slots=True)
class Configuration:
    """One index with its build parameters; `path` is its folder."""

    path: Path

    @property
    def index(self) -> Path:
        """The saved index."""
        return self.path / "index.bin"

    def built(self) -> dict[str, Any] | None:
        """Return what building took, None where it has not been built."""
        return _json(self.path / "built.json")

    def write_built(self, document: Mapping[str, Any]) -> None:
        """Keep what building took."""
        write_json(self.path / "built.json", dict(document))

    def row(self, settings: Mapping[str, int], threads: int) -> dict[str, Any] | None:
        """Return what was measured of a search, None where nothing was."""
        return _json(self._row(settings, threads))

    def write_row(self, settings: Mapping[str, int], threads: int, row: Mapping[str, Any]) -> None:
        """Keep what was measured of a search."""
        write_json(self._row(settings, threads), dict(row))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield all that was measured, from quick to thorough."""
        found = [row for path in self.path.glob("row-*.json") if (row := _json(path)) is not None]
        yield from sorted(found, key=lambda row: (row["threads"], list(row["parameters"].values())))

    def _row(self, settings: Mapping[str, int], threads: int) -> Path:
        named = "-".join(f"{name}={value}" for name, value in settings.items())
        return self.path / f"row-{named or 'plain'}-threads={threads}.json"


def _json(path: Path) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return document


def _digest(task: SearchTask) -> str:
    digest = hashlib.sha256(repr((task.about, task.condition_names)).encode())
    for name in _ARRAYS:
        array = np.ascontiguousarray(getattr(task, name))
        digest.update(repr((name, array.shape, str(array.dtype))).encode())
        digest.update(array.data)
    return digest.hexdigest()[:16]
