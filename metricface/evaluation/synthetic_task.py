"""Made-up people for measuring indexes at sizes that nobody has photos of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricface.errors import DataError
from metricface.evaluation.index_task import SearchTask
from metricface.functional.metrics.ranking import top_k

if TYPE_CHECKING:
    from metricface.contracts.arrays import FloatArray, IntArray

RANK1 = 0.9
"""Of exact search."""

_EACH = 10  # photos of a person
_PROBES = 10_000
_TRIED = 500  # probes that the noise is chosen on
_CLOSE = 0.005
_BLOCK = 4096  # people


def synthetic_task(vectors: int, dim: int, *, seed: int = 0) -> SearchTask:
    """Return people of ten photos each around random directions, with probes of which exact search finds nine in ten.

    Random vectors flatter or damn an index: only real embeddings decide.

    Args:
        vectors: G of the gallery, rounded down to a multiple of 10.
        dim: D.
        seed: of everything.

    Raises:
        DataError: fewer than 100 vectors or 2 dimensions.
    """
    if vectors < 10 * _EACH or dim < 2:
        raise DataError(f"--synthetic {vectors},{dim}: takes 100 vectors of 2 dimensions or more.")
    rng = np.random.default_rng(seed)
    people = vectors // _EACH
    count = min(_PROBES, people)
    mated = count - count // 10
    centres = _directions(rng, people, dim)
    gallery, labels = _photos(rng, centres), np.repeat(np.arange(people), _EACH)
    chosen, strangers = rng.choice(people, mated, replace=False), _directions(rng, count - mated, dim)
    noise = _directions(rng, mated, dim)
    queries = _unit(centres[chosen] + _level(centres[chosen], noise, gallery, labels, chosen) * noise)
    return SearchTask(
        gallery=gallery,
        gallery_people=labels,
        probes=np.concatenate([queries, strangers]),
        probe_people=np.concatenate([chosen, -1 - np.arange(count - mated)]).astype(np.int64),
        conditions=np.zeros(count, np.int64),
        condition_names=("clean",),
        about=f"synthetic: {people:,} people x {_EACH} random vectors (seed {seed}), photos of nobody",
    )


def _photos(rng: np.random.Generator, centres: FloatArray) -> FloatArray:
    """Return ten vectors around every centre, at a cosine of 0.7 to it."""
    gallery = np.empty((_EACH * len(centres), centres.shape[1]), np.float32)
    for start in range(0, len(centres), _BLOCK):
        some = np.repeat(centres[start : start + _BLOCK], _EACH, axis=0)
        gallery[_EACH * start : _EACH * start + len(some)] = _unit(some + _directions(rng, *some.shape))
    return gallery


def _level(
    centres: FloatArray, noise: FloatArray, gallery: FloatArray, labels: IntArray, people: IntArray
) -> np.float32:
    """Return how much noise leaves exact search right on nine in ten of the first probes."""
    low, high = 0.0, 30.0
    for _ in range(15):
        level = np.float32((low + high) / 2)
        queries = _unit(centres[:_TRIED] + level * noise[:_TRIED])
        right = float((labels[top_k(queries, gallery, 1)[1][:, 0]] == people[:_TRIED]).mean())
        if abs(right - RANK1) <= _CLOSE:
            break
        low, high = (float(level), high) if right > RANK1 else (low, float(level))
    return level


def _directions(rng: np.random.Generator, count: int, dim: int) -> FloatArray:
    return _unit(rng.standard_normal((count, dim), np.float32))


def _unit(vectors: FloatArray) -> FloatArray:
    unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
