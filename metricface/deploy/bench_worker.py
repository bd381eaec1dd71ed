"""What a benchmark of indexes does in a process of its own: build an index, or load it and search in it."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from metricface.build import components as make
from metricface.components.registry import installed_registries
from metricface.contracts import HasFile, HasSearchGrid, HasTraining
from metricface.deploy.bench_folder import BenchFolder, Configuration
from metricface.errors import MetricFaceError
from metricface.evaluation.index_measure import (
    LOSSLESS,
    K,
    is_needless,
    losses,
    reference,
    search_settings,
    searching_threads,
    speeds,
)
from metricface.evaluation.index_task import SearchTask
from metricface.recipe.schema import ComponentSpec

_STATUS = Path("/proc/self/status")


def build(folder: BenchFolder, spec: ComponentSpec, threads: int) -> None:
    """Train and fill an index, and save it; what it took, or why it cannot be, is kept."""
    task, configuration = folder.task(), folder.configuration(spec)
    configuration.path.mkdir(exist_ok=True)
    with _others_go_on(configuration), searching_threads(threads):
        configuration.write_built(_built(task, configuration, spec))


def search(folder: BenchFolder, spec: ComponentSpec, threads: Sequence[int], seconds: float) -> None:
    """Measure every combination of an index's search parameters that has not been measured before."""
    task, configuration = folder.task(), folder.configuration(spec)
    with _others_go_on(configuration):
        _search(folder, task, configuration, spec, threads, seconds)


def _search(
    folder: BenchFolder,
    task: SearchTask,
    configuration: Configuration,
    spec: ComponentSpec,
    threads: Sequence[int],
    seconds: float,
) -> None:
    known = reference(task, folder.truth(task, K))
    before = _anonymous()
    index = _filled(task, configuration, spec)
    resident = None if before is None else max(0, (_anonymous() or 0) - before)
    lossless: list[dict[str, int]] = []
    for settings in search_settings(index):
        if is_needless(settings, lossless):
            continue
        if isinstance(index, HasSearchGrid):
            index.tune(**settings)
        found: dict[str, Any] | None = None
        for count in threads:
            row = configuration.row(settings, count)
            if row is None:
                if found is None:
                    with searching_threads(max(threads)):
                        found = losses(index, task, known)
                with searching_threads(count):
                    measured = speeds(index, task.probes, seconds=seconds)
                row = {"parameters": settings, "threads": count, **measured, **found, "resident_bytes": resident}
                configuration.write_row(settings, count, row)
            if row["recall@10"] >= LOSSLESS and settings not in lossless:
                lossless.append(settings)


def _built(task: SearchTask, configuration: Configuration, spec: ComponentSpec) -> dict[str, Any]:
    index: Any = make.component(installed_registries(), spec, dim=task.gallery.shape[1])
    begun = time.perf_counter()
    if isinstance(index, HasTraining):
        index.train(task.gallery)
    trained = time.perf_counter()
    index.add(task.gallery)
    added = time.perf_counter()
    size = None
    if isinstance(index, HasFile):
        index.save(configuration.index)
        size = configuration.index.stat().st_size
    count = len(task.gallery)
    return {
        "train_s": trained - begun,
        "add_s": added - trained,
        "bytes_per_vector": None if size is None else size / count,
        "settings": [dict(settings) for settings in search_settings(index)],
    }


def _filled(task: SearchTask, configuration: Configuration, spec: ComponentSpec) -> Any:
    """Return the index that was built; one that cannot be saved is built anew."""
    index: Any = make.component(installed_registries(), spec, dim=task.gallery.shape[1])
    if isinstance(index, HasFile):
        index.load(configuration.index)
        return index
    if isinstance(index, HasTraining):
        index.train(task.gallery)
    index.add(task.gallery)
    return index


def _anonymous() -> int | None:
    """Return the bytes of memory of this process that are no mapped file, None where nothing says so."""
    with contextlib.suppress(OSError, StopIteration):
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
        return int(next(line for line in lines if line.startswith("RssAnon:")).split()[1]) * 1024
    return None


@contextlib.contextmanager
def _others_go_on(configuration: Configuration) -> Iterator[None]:
    """Keep why an index cannot be measured; Ctrl-C is left to the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    except Exception as error:
        said = " ".join(str(error).split())
        configuration.write_built(
            {"skipped": said if isinstance(error, MetricFaceError) else f"{type(error).__name__}: {said}"}
        )
