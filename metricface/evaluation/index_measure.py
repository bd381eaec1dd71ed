"""One index measured: what it finds, what it loses, and how fast it is."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from metricface.contracts import HasSearchGrid, Index
from metricface.errors import EvaluationError
from metricface.evaluation.index_task import SearchTask
from metricface.functional.metrics.bootstrap import person_interval
from metricface.functional.metrics.index_loss import Truth, open_set_threshold, recall, scored_again

if TYPE_CHECKING:
    import numpy.typing as npt

    from metricface.contracts.arrays import FloatArray

K = 10
"""Neighbours of a probe."""

LOSSLESS = 0.9999
"""Mean recall@10 from which a more thorough search has nothing to gain, and is left out."""

FPIR = 0.01
MARGINS = ((-np.inf, 0.02), (0.02, 0.05), (0.05, 0.1), (0.1, np.inf))
"""Cosine of the first person less that of the second, of exact search."""

_BATCH = 1000  # probes of a timed batch
_SINGLE = 1000  # probes that are timed one by one, at most
_WARM = 10  # of them that are dropped
_SECONDS = 2.0  # that each timing takes, or
_REPEATS = 5  # so many batches


@dataclass(frozen=True, slots=True)
class Reference:
    """Exact search on a task, and what it is right about.

    Args:
        truth: what it finds.
        right: (Q,) bool, the nearest is of the probe's person; False for people who are not in the gallery.
        threshold: of FPIR 0.01, None where the task cannot resolve it.
        why: there is none.
    """

    truth: Truth
    right: npt.NDArray[np.bool_]
    threshold: float | None
    why: str = ""


def reference(task: SearchTask, truth: Truth) -> Reference:
    """Return what exact search is right about."""
    right = task.gallery_people[truth.ids[:, 0]] == task.probe_people
    try:
        threshold = open_set_threshold(truth.cosines[~task.mated, 0], FPIR)
    except EvaluationError as error:
        return Reference(truth, right, None, str(error))
    return Reference(truth, right, threshold)


def is_needless(settings: Mapping[str, int], lossless: Sequence[Mapping[str, int]]) -> bool:
    """Whether a search is more thorough than one that has lost nothing already."""
    return any(settings != one and all(settings[name] >= value for name, value in one.items()) for one in lossless)


def search_settings(index: Index) -> Iterator[dict[str, int]]:
    """Yield every combination of an index's search parameters, from quick to thorough."""
    grid = index.search_grid if isinstance(index, HasSearchGrid) else {}
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def losses(index: Index, task: SearchTask, known: Reference) -> dict[str, Any]:
    """Return recall against exact search, and identities lost, overall, by condition and by margin."""
    _, ids = index.search(task.probes, K)
    found = scored_again(task.probes, task.gallery, ids)
    at_1, at_k = recall(found[:, :1], known.truth.cosines, 1), recall(found, known.truth.cosines, K)
    # The last person stands for nobody: an index that finds nothing is wrong.
    right = np.where(ids[:, 0] >= 0, task.gallery_people[ids[:, 0]] == task.probe_people, False)
    document: dict[str, Any] = {
        "recall@1": float(at_1.mean()),
        "recall@10": float(at_k.mean()),
        "recall@10_p5": float(np.percentile(at_k, 5)),
        "recall@10_worst": float(at_k.min()),
        "queries": len(task.probes),
        "probes": int(task.mated.sum()),
        "rank1_exact": float(known.right[task.mated].mean()),
        **_lost("rank1", known.right, right, task, task.mated),
    }
    if known.threshold is None:
        document["tpir_refused"] = known.why
    else:
        exact = known.right & (known.truth.cosines[:, 0] > known.threshold)
        own = open_set_threshold(found[~task.mated, 0], FPIR)
        hits = right & (found[:, 0] > own)
        document |= {"tpir_exact": float(exact[task.mated].mean()), **_lost("tpir", exact, hits, task, task.mated)}
    document["by_condition"] = {
        name: {**_lost("rank1", known.right, right, task, chosen), "recall@10": float(at_k[chosen].mean())}
        for number, name in enumerate(task.condition_names)
        if (chosen := task.mated & (task.conditions == number)).any()
    }
    document["by_margin"] = {
        _range(low, high): _lost("rank1", known.right, right, task, chosen)
        for low, high in MARGINS
        if (chosen := task.mated & (known.truth.margins >= low) & (known.truth.margins < high)).any()
    }
    return document


def _lost(
    name: str,
    exact: npt.NDArray[np.bool_],
    found: npt.NDArray[np.bool_],
    task: SearchTask,
    chosen: npt.NDArray[np.bool_],
) -> dict[str, Any]:
    """Return (exact right and index wrong - the reverse) / n over some probes, with its interval over people."""
    lost = (exact.astype(np.float64) - found)[chosen]
    people = task.probe_people[chosen]
    interval = list(person_interval(lost, people)) if len(np.unique(people)) > 1 else None
    return {f"{name}_lost": float(lost.mean()), f"{name}_lost_interval": interval, "n": len(lost)}


def _range(low: float, high: float) -> str:
    if low == -np.inf:
        return f"below {high:g}"
    return f"{low:g} and above" if high == np.inf else f"{low:g} to {high:g}"


def speeds(index: Index, probes: FloatArray, *, seconds: float = _SECONDS) -> dict[str, Any]:
    """Return queries per second in batches, and milliseconds of single queries; never mixed.

    What is timed has been done once before. A batch is repeated until `seconds` or five times, whichever comes last.
    """
    batch = np.ascontiguousarray(probes[:_BATCH])
    index.search(batch, K)
    taken: list[float] = []
    while len(taken) < _REPEATS or sum(taken) < seconds:
        taken.append(_timed(index, batch))
        if sum(taken) > 10 * seconds and len(taken) >= 3:  # a search that takes so long varies little
            break
    rates = [len(batch) / one for one in taken]
    singles: list[float] = []
    for number in range(min(_SINGLE, len(probes)) + _WARM):
        singles.append(_timed(index, probes[number % len(probes)][None]))
        if sum(singles[_WARM:]) > seconds and len(singles) > 2 * _WARM:
            break
    p50, p95, p99 = (float(value) for value in 1000 * np.percentile(singles[_WARM:], (50, 95, 99)))
    return {
        "qps": median(rates),
        "qps_spread": [min(rates), max(rates)],
        "batch": len(batch),
        "repeats": len(rates),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "single_queries": len(singles) - _WARM,
    }


def _timed(index: Index, queries: FloatArray) -> float:
    begun = time.perf_counter()
    index.search(queries, K)
    return time.perf_counter() - begun


@contextmanager
def searching_threads(count: int) -> Iterator[None]:
    """Let faiss, BLAS and torch compute with so many threads, and afterwards with as many as before."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(count):
        yield
