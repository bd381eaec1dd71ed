"""What the checks of indexes look at: two that are filled with made-up people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from metricface.contracts import HasSearchGrid, HasTraining, Index
from metricface.testing.engine import Trial, Violation
from metricface.testing.randomness import draws_nothing

if TYPE_CHECKING:
    from metricface.contracts.arrays import FloatArray, IntArray

DIM = 128
PEOPLE, EACH = 1000, 10  # enough for 256 centroids of 39 vectors
FLOOR = 0.9
"""Recall at 1 on people who are easy to tell apart, at the most thorough search: less finds too few to be of use."""

QUERIES, K = 100, 10
_NOISE = 0.5
PART = 4000  # vectors that are added first
SAME = 0.95  # cosine of what may be taken for each other
ROUNDING = 1e-4  # of a cosine in half precision, and of an order among equals


@dataclass(frozen=True)
class Filled:
    """An index under test; filling one may take half a minute, so it is done twice and no more.

    Args:
        make: an empty one.
        vectors: (N, D) that it is filled with.
        queries: (Q, D).
        index: one that is filled, at its most thorough search.
        again: another one, filled in two parts; the last check takes vectors out of it.
        drew: what filling drew from a global generator, as the check says it; "" for nothing.
        edited: whether filling edited the vectors.
    """

    make: Callable[[], Index]
    vectors: FloatArray
    queries: FloatArray
    index: Index
    again: Index
    drew: str
    edited: bool


def prepare(trial: Trial) -> Filled:
    """Make two, train them where they take training, and fill them."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((PEOPLE, DIM))
    vectors = _unit(np.repeat(centres, EACH, axis=0) + _NOISE * rng.standard_normal((PEOPLE * EACH, DIM)))
    queries = _unit(centres[:QUERIES] + _NOISE * rng.standard_normal((QUERIES, DIM)))
    make: Callable[[], Index] = partial(trial.make, {"dim": DIM})
    given, made, drew = vectors.copy(), list[Index](), ""
    try:
        draws_nothing(lambda: made.append(_filled(make, given)), "filling")
    except Violation as violation:
        drew = str(violation)
    again = _filled(make, vectors[:PART], vectors[PART:])
    return Filled(make, vectors, queries, made[0], again, drew, not np.array_equal(given, vectors))


def _unit(vectors: np.ndarray) -> FloatArray:
    unit: FloatArray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _filled(make: Callable[[], Index], *parts: FloatArray) -> Index:
    """Return an index with vectors, added part by part, that searches as thoroughly as it can."""
    index = make()
    if isinstance(index, HasTraining):
        index.train(np.concatenate(parts))
    for part in parts:
        index.add(part)
    if isinstance(index, HasSearchGrid):
        index.tune(**{name: values[-1] for name, values in index.search_grid.items()})
    return index


def searched(index: Index, queries: FloatArray, k: int = K) -> tuple[FloatArray, IntArray]:
    """Return what a search gives, which has the right form."""
    found: object = index.search(queries, k)
    if not isinstance(found, tuple) or len(found) != 2:
        raise Violation(f"search returns {type(found).__name__}, not similarities and ids")
    wanted = (len(queries), k)
    for name, part, dtype in zip(("similarities", "ids"), found, (np.float32, np.int64), strict=True):
        if not isinstance(part, np.ndarray) or part.shape != wanted or part.dtype != dtype:
            got = f"{part.dtype} {part.shape}" if isinstance(part, np.ndarray) else type(part).__name__
            raise Violation(f"{name} are {got}, not {np.dtype(dtype)} {wanted}")
    return found
