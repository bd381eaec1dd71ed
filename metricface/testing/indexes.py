"""The checks of indexes: each is filled with made-up people and searched."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from metricface.contracts import HasExact, HasFile, HasRemoval, HasSearchGrid, HasTraining, Index
from metricface.errors import MetricFaceError
from metricface.functional.metrics.index_loss import recall, scored_again
from metricface.functional.metrics.ranking import NOBODY, top_k
from metricface.testing.engine import Skip, Suite, Violation, check
from metricface.testing.index_on_trial import DIM, FLOOR, PART, ROUNDING, SAME, Filled, K, prepare, searched
from metricface.testing.randomness import draws_nothing
from metricface.testing.refusals import must_refuse

if TYPE_CHECKING:
    pass


@check("search", why="Whoever asks takes the first for the nearest, and its number for a cosine.")
def search(filled: Filled) -> None:
    """A search gives cosines, the highest first, and ids of what was added."""
    similarities, ids = searched(filled.index, filled.queries)
    if (np.diff(similarities, axis=1) > ROUNDING).any():
        raise Violation("similarities are not in descending order")
    if ids.min() < NOBODY or ids.max() >= len(filled.vectors):
        raise Violation(f"ids go from {ids.min()} to {ids.max()}, of {len(filled.vectors)} vectors")
    exact = scored_again(filled.queries, filled.vectors, ids)
    apart = np.abs(np.where(ids == NOBODY, 0, similarities - exact)).max()
    if apart > 0.2:
        raise Violation(f"a similarity is {apart:.2f} from the cosine of what it is of")


@check("finds", why="An index that does not find what lies before it loses people whom the model knows.")
def finds(filled: Filled) -> None:
    """It finds the nearest as often as it says: always where `exact`, else nine times in ten on easy people."""
    truth, _ = top_k(filled.queries, filled.vectors, K)
    found = scored_again(filled.queries, filled.vectors, searched(filled.index, filled.queries)[1])
    exact = isinstance(filled.index, HasExact) and filled.index.exact
    k, floor = (K, 1.0) if exact else (1, FLOOR)
    share = float(recall(found[:, :k], truth, k).mean())
    if share < floor:
        raise Violation(f"recall at {k} is {share:.3f}, below {floor:g}")


@check("few", why="Small galleries are common, and a made-up id is a wrong person.")
def few(filled: Filled) -> None:
    """Where there are fewer than k, the rest is -1 and -inf, as in an empty one."""
    index = filled.make()
    if isinstance(index, HasTraining):
        index.train(filled.vectors)
    for count in (0, 3):
        if count:
            index.add(filled.vectors[:count])
        similarities, ids = searched(index, filled.queries[:2], 5)
        if (ids[:, count:] != NOBODY).any() or not np.isneginf(similarities[:, count:]).all():
            raise Violation(
                f"of {count} vectors and k = 5 it gives ids {ids[0].tolist()} and {similarities[0].tolist()}"
            )
        if count and sorted(ids[0, :count].tolist()) != [0, 1, 2]:
            raise Violation(f"of 3 vectors and k = 5 it finds {ids[0].tolist()}")


@check("parts", why="Galleries grow.")
def parts(filled: Filled) -> None:
    """Vectors have ids in the order of adding, whether they come at once or in parts."""
    places = [0, PART - 1, PART, len(filled.vectors) - 1]
    ids = searched(filled.again, filled.vectors[places], 1)[1][:, 0]
    for wanted, got in zip(places, ids.tolist(), strict=True):
        if got == NOBODY or float(filled.vectors[wanted] @ filled.vectors[got]) < SAME:
            raise Violation(f"the vector that was added as number {wanted} is found as {got}")


@check("determinism", why="A benchmark or a report that is made again must say the same.")
def determinism(filled: Filled) -> None:
    """Two that are made and filled alike find the same."""
    found = [searched(index, filled.queries)[1] for index in (filled.index, filled.again, filled.index)]
    if not np.array_equal(found[0], found[2]):
        raise Violation("a search that is done again finds other ids")
    if (found[0][:, 0] != found[1][:, 0]).mean() > 1 - FLOOR:  # a graph depends on what came in which part
        raise Violation("another one, made and filled alike, finds others")


@check("file", why="An index is built once and searched from then on.")
def file(filled: Filled) -> None:
    """What `save` writes gives the same finds in one made alike that loads it."""
    if not isinstance(filled.index, HasFile):
        raise Skip("it has no save and load")
    again = filled.make()
    assert isinstance(again, HasFile)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.bin"
        filled.index.save(path)
        again.load(path)
        loaded: Index = again
        if isinstance(loaded, HasSearchGrid):
            loaded.tune(**{name: values[-1] for name, values in loaded.search_grid.items()})
        found = searched(loaded, filled.queries)
    if not np.array_equal(found[1], searched(filled.index, filled.queries)[1]):
        raise Violation("one that loads it finds other ids")


@check("tuning", why="A benchmark tries every value that it offers.")
def tuning(filled: Filled) -> None:
    """Every value of its search grid can be set, and a name that is none is refused in words for the user."""
    index = filled.index
    if not isinstance(index, HasSearchGrid):
        raise Skip("it has no search grid")
    for name, values in index.search_grid.items():
        for value in values:
            index.tune(**{name: value})
            searched(index, filled.queries[:2])
    must_refuse(lambda: index.tune(no_such_parameter=1), "tune(no_such_parameter=1)")


@check("wrong vectors", why="Vectors of another model are a mistake that is easily made.")
def wrong_vectors(filled: Filled) -> None:
    """Vectors of another dimension, and k = 0, are refused in words for the user."""
    other = np.ones((2, DIM + 1), np.float32)
    must_refuse(lambda: filled.index.search(other, 1), f"search of {DIM + 1} dimensions among {DIM}")
    must_refuse(lambda: filled.make().add(other), f"adding {DIM + 1} dimensions to {DIM}")
    must_refuse(lambda: filled.index.search(filled.queries, 0), "search with k = 0")


@check("training", why="Centroids of too few vectors are no centroids, and nobody would know.")
def training(filled: Filled) -> None:
    """Too few vectors to train on are refused in words for the user, or suffice."""
    index = filled.make()
    if not isinstance(index, HasTraining):
        raise Skip("it takes no training")
    try:
        index.train(filled.vectors[:20])
    except MetricFaceError:
        return
    except Exception as error:
        raise Violation(f"training on 20 vectors raises {type(error).__name__}, no MetricFaceError") from error


@check("inputs", why="The same vectors are saved, and searched by the next index.")
def inputs(filled: Filled) -> None:
    """Neither the vectors nor the queries that it is given are edited."""
    queries = filled.queries.copy()
    searched(filled.index, queries)
    if filled.edited or not np.array_equal(queries, filled.queries):
        raise Violation("vectors are edited" if filled.edited else "queries are edited")


@check("random state", why="A draw from a global generator changes every draw after it, and spoils a resume.")
def random_state(filled: Filled) -> None:
    """It draws from no global random number generator and seeds none."""
    if filled.drew:
        raise Violation(filled.drew)
    draws_nothing(lambda: searched(filled.index, filled.queries[:2]), "a search")


@check("removal", why="Who is taken out must not be found, and everybody else must keep their number.")
def removal(filled: Filled) -> None:
    """`remove` takes vectors out and leaves the ids of the others, or is refused in words for the user."""
    index = filled.again
    if not isinstance(index, HasRemoval):
        raise Skip("nothing can be taken out of it")
    before = searched(index, filled.queries)[1]
    gone = np.unique(before[:, 0])
    try:
        count = index.remove(gone)
    except MetricFaceError:
        return
    if count != len(gone):
        raise Violation(f"remove of {len(gone)} vectors returns {count}")
    after = searched(index, filled.queries)[1]
    if np.isin(after, gone).any():
        raise Violation("a vector that was taken out is found")
    kept = np.setdiff1d(before[0], gone)
    if not np.isin(kept[: K // 2], after[0]).all():
        raise Violation(f"the neighbours {kept.tolist()} of a query have other ids or are lost: {after[0].tolist()}")


CHECKS = (search, finds, few, parts, determinism, file, tuning, wrong_vectors, training, inputs, random_state, removal)
SUITE = Suite(prepare, CHECKS)
