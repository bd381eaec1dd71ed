"""Indexes side by side on one task: `metricface index bench`."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import numpy as np

from metricface import __version__
from metricface.build import components as make
from metricface.components.registry import Registries
from metricface.contracts import Console, Progress
from metricface.deploy import bench_worker
from metricface.deploy.bench_folder import BenchFolder
from metricface.evaluation.index_measure import FPIR, K
from metricface.evaluation.index_task import SearchTask
from metricface.evaluation.report.index_plot import plot_indexes
from metricface.evaluation.report.index_report import markdown, verdict
from metricface.files import write_json, write_text
from metricface.machine import processor_name, usable_cores
from metricface.recipe.schema import ComponentSpec

_POLL = 0.2  # seconds

USUAL = ("exact", "flat", "fp16", "sq8", "hnsw", "ivf", "ivf-pq", "ivf-pq-fastscan", "ivf-rabitq")
"""What is measured where nobody says what."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An index to measure: what it is, and the settings that its user gave."""

    spec: ComponentSpec
    settings: Mapping[str, Any]


def candidate_of(text: str, settings: Mapping[str, Any], registries: Registries) -> Candidate:
    """Return an index by its name and settings.

    Raises:
        PluginError: there is no such index. RecipeError: it does not take the settings.
    """
    return Candidate(make.configured(registries, "index", text, settings, f"--index {text}"), settings)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Args:
        task: what is searched.
        candidates: the indexes.
        threads: each number of threads that speeds are measured with; recall does not depend on it.
        max_loss: share of identities that may be lost, for the sentence at the end.
        seconds: that each timing takes, at least.
        contract: of the model that made the vectors, see `metricface.deploy.embed.model_contract`.
        synthetic: the vectors are of nobody.
    """

    task: SearchTask
    candidates: Sequence[Candidate]
    threads: Sequence[int]
    max_loss: float
    seconds: float = 2.0
    contract: str = ""
    synthetic: bool = False


def bench(plan: Plan, parent: Path, console: Console, *, force: bool = False) -> dict[str, Any]:
    """Measure indexes, each in processes of its own, and return conditions, rows and a sentence.

    Rows, table and picture lie in `parent`, whatever ends this; what was measured before on an equal task lies there
    too and is not done again.

    Args:
        plan: what to measure.
        parent: folder of benchmarks.
        console: told of progress.
        force: measure everything anew.

    Raises:
        UsageError: `parent` cannot be used.
    """
    folder = BenchFolder.of(parent, plan.task, force=force)
    try:
        told = console.progress("exact search")
        told(0, 1)
        folder.truth(folder.task(), K)
        told(1, 1)
        for number, candidate in enumerate(plan.candidates, 1):
            what = f"{candidate.spec.name} ({number} of {len(plan.candidates)})"
            _measure(folder, candidate, plan, console.progress(what))
    except KeyboardInterrupt:
        _write(plan, folder, parent)
        console.say(f"what is done: {parent / 'index_bench.md'}. The same line goes on from there.")
        raise
    return _write(plan, folder, parent)


def _write(plan: Plan, folder: BenchFolder, parent: Path) -> dict[str, Any]:
    """Write what is done and return it."""
    rows, vectors = finished_rows(folder, plan.candidates, plan.threads), len(plan.task.gallery)
    sentence = verdict(rows, vectors, plan.max_loss)
    if plan.synthetic:
        sentence += " These vectors are synthetic: only embeddings of photos decide."
    about = _conditions(plan)
    document = {"conditions": about, "rows": rows, "verdict": sentence}
    write_json(parent / "index_bench_rows.json", document)
    write_text(parent / "index_bench.md", markdown(rows, about, sentence))
    title = f"{vectors:,} vectors of {plan.task.gallery.shape[1]} dimensions{' (synthetic)' * plan.synthetic}"
    plot_indexes(rows, title, parent / "index_bench.png", plan.max_loss)
    return document


def finished_rows(folder: BenchFolder, candidates: Sequence[Candidate], threads: Sequence[int]) -> list[dict[str, Any]]:
    """Return what has been measured so far of candidates, a row each; of one that cannot be, a row that says why."""
    rows: list[dict[str, Any]] = []
    for candidate in candidates:
        configuration = folder.configuration(candidate.spec)
        built = configuration.built()
        if built is None:
            continue
        named = {"index": candidate.spec.name}
        if "skipped" in built:
            rows.append({**named, "parameters": dict(candidate.settings), "skipped": built["skipped"]})
            continue
        cost = {name: built[name] for name in ("train_s", "add_s", "bytes_per_vector")}
        rows += [
            {**named, **row, "parameters": {**candidate.settings, **row["parameters"]}, **cost}
            for row in configuration.rows()
            if row["threads"] in threads
        ]
    return rows


def _conditions(plan: Plan) -> dict[str, Any]:
    """Return what figures depend on besides the indexes."""
    from threadpoolctl import threadpool_info

    task = plan.task
    found: dict[str, Any] = {
        "task": task.about,
        "synthetic": plan.synthetic,
        "vectors": len(task.gallery),
        "dim": task.gallery.shape[1],
        "people": len(np.unique(task.gallery_people)),
        "probes": int(task.mated.sum()),
        "probes_of_unknown_people": int((~task.mated).sum()),
        "k": K,
        "fpir": FPIR,
        "contract": plan.contract or "unknown",
        "processor": processor_name(),
        "cores": usable_cores(),
        "threads": list(plan.threads),
        "metricface": __version__,
        "numpy": np.__version__,
    }
    with suppress(ImportError):
        faiss: Any = import_module("faiss")
        found |= {"faiss": faiss.__version__, "faiss_compile_options": faiss.get_compile_options().strip()}
    pools = threadpool_info()
    found["blas"] = sorted(
        {f"{one['internal_api']} {one.get('version')}" for one in pools if one["user_api"] == "blas"}
    )
    return found


def _measure(folder: BenchFolder, candidate: Candidate, plan: Plan, progress: Progress) -> None:
    """Build an index and search in it, in one process after the other."""
    configuration, spec, threads = folder.configuration(candidate.spec), candidate.spec, list(plan.threads)
    if configuration.built() is None:
        died = _in_a_process(bench_worker.build, folder, spec, max(threads))
        if configuration.built() is None:
            configuration.write_built({"skipped": f"the process that built it ended ({died})"})
    built = configuration.built() or {}
    if "skipped" in built:
        return
    total = len(built["settings"]) * len(threads)

    def seen() -> None:
        progress(min(len(list(configuration.path.glob("row-*.json"))), total - 1), total)

    died = _in_a_process(bench_worker.search, folder, spec, threads, plan.seconds, watched=seen)
    progress(total, total)
    if died:
        configuration.write_built({"skipped": f"the process that searched ended ({died})"})


def _in_a_process(work: Callable[..., None], *arguments: Any, watched: Callable[[], None] = lambda: None) -> str:
    """Call a function in a process of its own; return how that ended, "" where all went well."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    try:
        with _held_back():
            process.start()
        while process.is_alive():
            process.join(_POLL)
            watched()
    finally:
        if process.is_alive():  # interrupted: what it is at is lost, what it has written stays
            process.kill()
            process.join()
    code = process.exitcode or 0
    return "" if code == 0 else f"signal {-code}" if code < 0 else f"exit {code}"


@contextmanager
def _held_back() -> Iterator[None]:
    """Let Ctrl-C wait until a process has been started whole; that process never gets it, being killed instead."""
    resource_tracker.ensure_running()  # starting it later would let SIGINT through again
    arrived: list[int] = []
    usual = signal.signal(signal.SIGINT, lambda number, _frame: arrived.append(number))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # is inherited; other threads still get it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGINT, usual)
    if arrived:
        signal.raise_signal(signal.SIGINT)
