"""What indexes lose in identities on the photos of a run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le

from metricface.contracts import (
    Dataset,
    EmbeddingSet,
    HasFile,
    HasSearchGrid,
    HasTraining,
    Index,
    IndexChoice,
    Need,
    Subject,
)
from metricface.contracts.results import Reading, Refusal, Result, Row, Value
from metricface.errors import MetricFaceError, RecipeError
from metricface.evaluation.index_measure import (
    LOSSLESS,
    K,
    Reference,
    is_needless,
    losses,
    reference,
    search_settings,
    searching_threads,
    speeds,
)
from metricface.evaluation.index_task import SearchTask, check_searchable, search_task
from metricface.functional.metrics.index_loss import exact_truth

OUTCOMES = (
    *("index", "search", "threads", "qps", "p50_ms", "p95_ms", "p99_ms", "train_s", "add_s"),
    *("bytes_per_vector", "rank1_lost", "max_loss"),
)

_THREADS = 1


class IndexBench:
    """Identities that indexes lose against exact search, with their sizes and speeds.

    Of every person each second photo is in the gallery, the others with their distortions are probes, and a fifth of
    the people are not in it; with roles, those count. `metricface index bench` measures the same more carefully, and
    memory too, in processes of its own. Speeds differ from time to time, so they are in outcomes and in the picture,
    and not among the figures: those of a resumed run are the same.

    Args:
        indexes: which, as tables with name and arguments.
        grid: whether every search setting of each is tried, or only the one that it is given.
        max_loss: share of identities that may be lost; the report marks what stays within.
        seconds: how many seconds each timing takes, at least.
        seed: of who is in the gallery.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"embeddings"})
    metrics: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *,
        indexes: Sequence[IndexChoice] | None = None,
        grid: bool = True,
        max_loss: Annotated[float, Ge(0), Le(1)] = 0.005,
        seconds: Annotated[float, Gt(0)] = 0.2,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        if not indexes:
            raise RecipeError(
                'index-bench: indexes is missing. Name some: indexes = [{ name = "exact" }, { name = "hnsw" }]'
            )
        self._indexes, self._grid, self._max_loss = indexes, grid, max_loss
        self._seconds, self._seed = seconds, seed

    def __call__(self, subject: Subject) -> Result:
        """Embed the subject's photos and search among them."""
        return self.of(subject.embed(subject.dataset))

    def check(self, dataset: Dataset) -> None:
        """Refuse a split in which nobody has two photos."""
        check_searchable(dataset)

    def of(self, embeddings: EmbeddingSet) -> Result:
        """Measure on embeddings, wherever they were made."""
        task = search_task(embeddings, seed=self._seed)
        known = reference(task, exact_truth(task.probes, task.gallery, task.gallery_people, K))
        rows: list[Row] = []
        refusals = [] if known.threshold is not None else [Refusal("tpir_lost", known.why)]
        outcomes: dict[str, list[Any]] = {name: [] for name in OUTCOMES}
        for choice in self._indexes:
            try:
                for name, figures, measured in self._of_one(choice, task, known):
                    rows.append(Row(name, figures))
                    for column in OUTCOMES:
                        outcomes[column].append(measured[column])
            except MetricFaceError as error:
                refusals.append(Refusal(str(choice), str(error)))
        mated = int(task.mated.sum())
        figures = {"rank1_exact": Value(float(known.right[task.mated].mean()), mated)}
        counts = {"gallery_photos": len(task.gallery), "probes_of_unknown_people": len(task.probes) - mated}
        reading = Reading("", figures, tuple(rows), counts, by="index")
        return Result((reading,), refusals=tuple(refusals), outcomes=outcomes)

    def _of_one(
        self, choice: IndexChoice, task: SearchTask, known: Reference
    ) -> list[tuple[str, Mapping[str, Value], Mapping[str, Any]]]:
        """Return (name, figures, outcomes) of every search setting of an index."""
        index: Index = choice.make(task.gallery.shape[1])
        begun = time.perf_counter()
        if isinstance(index, HasTraining):
            index.train(task.gallery)
        trained = time.perf_counter()
        index.add(task.gallery)
        cost = {"train_s": trained - begun, "add_s": time.perf_counter() - trained}
        size = _size(index, len(task.gallery))
        found: list[tuple[str, Mapping[str, Value], Mapping[str, Any]]] = []
        lossless: list[dict[str, int]] = []
        for settings in search_settings(index) if self._grid else [{}]:
            if is_needless(settings, lossless):
                continue
            if isinstance(index, HasSearchGrid) and settings:
                index.tune(**settings)
            with searching_threads(_THREADS):
                lost, measured = losses(index, task, known), speeds(index, task.probes, seconds=self._seconds)
            if lost["recall@10"] >= LOSSLESS:
                lossless.append(settings)
            search = ", ".join(f"{name} {value}" for name, value in {**choice.settings, **settings}.items())
            name = choice.name if not search else f"{choice.name} ({search})"
            told = {"index": choice.name, "search": search, "threads": _THREADS, "max_loss": self._max_loss}
            told |= {"bytes_per_vector": "" if size is None else size, "rank1_lost": lost["rank1_lost"]}
            found.append((name, _figures(lost, size), {**cost, **measured, **told}))
        return found


def _figures(lost: Mapping[str, Any], size: float | None) -> dict[str, Value]:
    """Return what is the same whenever it is measured."""
    low, high = lost["rank1_lost_interval"] or (None, None)
    interval = None if low is None or high is None else (low, high)
    figures = {"rank1_lost": Value(lost["rank1_lost"], lost["probes"], interval)}
    if "tpir_lost" in lost:
        figures["tpir_lost"] = Value(lost["tpir_lost"], lost["probes"])
    for name, key in (("recall_at_1", "recall@1"), ("recall_at_10", "recall@10")):
        figures[name] = Value(lost[key], lost["queries"])
    if size is not None:
        figures["bytes_per_vector"] = Value(size, lost["queries"], unit="none")
    return figures


def _size(index: Index, vectors: int) -> float | None:
    """Return bytes of the saved index for each vector, None for one that cannot be saved."""
    if not isinstance(index, HasFile):
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.bin"
        index.save(path)
        return path.stat().st_size / vectors
