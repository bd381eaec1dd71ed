"""Two models on the same probes: the difference of every figure, with a paired bootstrap over people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metricface.contracts import CLEAN
from metricface.evaluation.alignment import Columns, Table, align
from metricface.evaluation.roles import GALLERY_PROBE
from metricface.functional.metrics import class_counts
from metricface.functional.metrics.bootstrap import existing, paired_difference, resampled_sums

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of two models.

    Args:
        evaluator, reading, row: where the figure stands; `row` is "all", a condition or a group.
        figure: its name.
        n: probes or photos.
        people: that the bootstrap draws; a photo of nobody in particular counts as a person of its own.
        a, b: the figure of either side.
        difference: b - a.
        interval: 95 % interval of the difference; None with fewer than two people, or where most samples lack the
            figure.
        p: see `bootstrap.paired_difference`; None where there is no interval.
    """

    evaluator: str
    reading: str
    row: str
    figure: str
    n: int
    people: int
    a: float
    b: float
    difference: float
    interval: tuple[float, float] | None
    p: float | None


@dataclass(frozen=True, slots=True)
class _Measure:
    """What every probe of one run adds, (Q, K), and the figures that follow from sums of it, (..., K) -> (...)."""

    statistics: Callable[[Columns], Floats]
    figures: Callable[[Floats], Mapping[str, Floats]]


def is_comparable(table: Table) -> bool:
    """Whether outcomes have the columns that figures are computed from."""
    return {"path", "person"} <= set(table) and ("rank" in table or {"label", "predicted"} <= set(table))


def compare_outcomes(
    evaluator: str, a: Mapping[str, Table], b: Mapping[str, Table], *, samples: int, seed: int
) -> list[Difference]:
    """Return the difference of every figure in every reading and row of one evaluator.

    A side's figure is the mean over its runs, on the data and on every bootstrap sample; rank-1 and accuracy are then
    those of outcomes averaged per probe. As in a report, a sample without a photo of some class is left out of that
    class's F1 and of balanced accuracy, and a row without one has neither.

    Args:
        evaluator: its name.
        a: outcomes of each run of one side, by the run's name.
        b: those of the other side.
        samples: how many the bootstrap draws.
        seed: of the draws.

    Raises:
        DataError: the runs are not of the same probes, see `pairing.align`.
    """
    runs = align(evaluator, {**a, **b})
    probes = runs[next(iter(a))]
    measure = _ranks() if "rank" in probes else _classes(list(runs.values()))
    counted = {name: measure.statistics(columns) for name, columns in runs.items()}
    sides = [np.stack([counted[name] for name in side], axis=1) for side in (a, b)]  # (Q, runs, K)
    people = np.where(probes["person"] == "", np.char.add("\0", probes["path"]), probes["person"])
    return [
        found
        for reading in np.unique(probes["reading"]).tolist()
        for row, chosen in _rows(probes, reading).items()
        if chosen.any()
        for found in _differences(
            (evaluator, reading, row), [side[chosen] for side in sides], people[chosen], measure, samples, seed
        )
    ]


def _rows(probes: Columns, reading: str) -> dict[str, Bools]:
    """Return which probes are in "all" and in each condition or group of a reading."""
    inside = probes["reading"] == reading
    values = probes.get("condition", probes.get("group", np.full(len(inside), "")))
    everything = inside
    if "condition" in probes and reading != GALLERY_PROBE and (values != CLEAN).any():  # as at the top in a report
        everything = inside & (values != CLEAN)
    names = sorted({str(name) for name in values if name}, key=lambda name: (name != CLEAN, name))
    return {"all": everything, **{name: inside & (values == name) for name in names}}


def _differences(
    where: tuple[str, str, str],
    sides: Sequence[Floats],
    people: npt.NDArray[np.str_],
    measure: _Measure,
    samples: int,
    seed: int,
) -> list[Difference]:
    """Return the difference of every figure of some probes; `sides` are (Q, runs, K) of A and of B."""
    names, numbers = np.unique(people, return_inverse=True)
    a, b = (side.shape[1] for side in sides)
    statistics = np.concatenate(sides, axis=1)  # (Q, runs of A and of B, K)
    drawn = resampled_sums(statistics.reshape(len(people), -1), numbers, samples=samples, seed=seed)
    # Sums over all probes first, then over each sample: (1 + samples, runs, K).
    sums = np.concatenate([statistics.sum(axis=0)[None], drawn.reshape(samples, a + b, -1)])
    found = []
    for figure, values in measure.figures(sums).items():
        of_a, of_b = values[:, :a].mean(axis=1), values[:, a:].mean(axis=1)
        if np.isnan(of_a[0]):
            continue  # a figure of a class without a photo here, or of all classes
        difference = float(of_b[0] - of_a[0])
        resampled = existing((of_b - of_a)[1:])
        certain = paired_difference(resampled) if len(names) > 1 and resampled is not None else (None, None)
        plain = (float(of_a[0]), float(of_b[0]), difference)
        found.append(Difference(*where, figure, len(people), len(names), *plain, *certain))
    return found


def _ranks() -> _Measure:
    """Return how rank-1 is counted."""

    def statistics(columns: Columns) -> Floats:
        hits = (columns["rank"] == "1").astype(np.float64)
        return np.stack([hits, np.ones(len(hits))], axis=1)

    return _Measure(statistics, lambda sums: {"rank1": sums[..., 0] / sums[..., 1]})


def _classes(runs: Sequence[Columns]) -> _Measure:
    """Return how accuracy, balanced accuracy and F1 are counted."""
    names = np.unique(np.concatenate([columns[key] for columns in runs for key in ("label", "predicted")]))

    def statistics(columns: Columns) -> Floats:
        labels, predicted = (np.searchsorted(names, columns[key]) for key in ("label", "predicted"))
        return class_counts.class_counts(labels, predicted, len(names)).reshape(len(labels), -1)

    def figures(sums: Floats) -> Mapping[str, Floats]:
        counts = sums.reshape(*sums.shape[:-1], 3, len(names))
        f1 = class_counts.f1(counts)
        return {
            "accuracy": class_counts.accuracy(counts),
            "balanced_accuracy": class_counts.balanced_accuracy(counts),
            **{f"f1 {name}": f1[..., place] for place, name in enumerate(names)},
        }

    return _Measure(statistics, figures)
