"""The contract of indexes: nearest neighbours among vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    from metricface.contracts.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class IndexChoice:
    """An index that a recipe has chosen for another component.

    Args:
        name: of the index.
        settings: those of its arguments that are not the usual ones.
        make: dimension -> an empty one.
    """

    name: str
    settings: Mapping[str, Any]
    make: Callable[[int], Index]

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(f'{key} {value}' for key, value in self.settings.items()) or 'plain'})"


class Index(Protocol):
    """Nearest neighbours by cosine among vectors of unit length.

    Vectors have the ids 0, 1, 2, ... in the order in which they were added, in one call or several. `search` gives
    similarities (Q, K) float32, the highest first, and ids (Q, K) int64 of queries (Q, D); where fewer than K are found
    the rest is -inf and -1. An index of one dimension that is given another refuses it with a MetricFaceError.
    """

    def add(self, vectors: FloatArray) -> None: ...

    def search(self, queries: FloatArray, k: int) -> tuple[FloatArray, IntArray]: ...


@runtime_checkable
class HasTraining(Protocol):
    """Optional on indexes: `train` is given vectors (N, D) like those to come, before any is added.

    It refuses too few of them with a MetricFaceError that names how many it takes.
    """

    def train(self, vectors: FloatArray) -> None: ...


@runtime_checkable
class HasFile(Protocol):
    """Optional on indexes: `save` writes all that is in it to a file, `load` takes that into one made alike.

    `load` is given files of `save` alone: whoever calls it has compared size and digest.
    """

    def save(self, path: Path) -> None: ...

    def load(self, path: Path) -> None: ...


@runtime_checkable
class HasRemoval(Protocol):
    """Optional on indexes: take vectors out by their ids; the others keep theirs. Returns how many there were.

    One that cannot do it as it is set up refuses with a MetricFaceError.
    """

    def remove(self, ids: IntArray) -> int: ...


@runtime_checkable
class HasSearchGrid(Protocol):
    """Optional on indexes: how thoroughly to search, which can be changed at any time.

    `search_grid` has the values that are worth trying, by name, from quick to thorough; `tune` sets some of them.
    """

    @property
    def search_grid(self) -> Mapping[str, Sequence[int]]: ...

    def tune(self, **values: int) -> None: ...


@runtime_checkable
class HasExact(Protocol):
    """Optional on indexes: whether what it finds is what comparing with every vector finds."""

    @property
    def exact(self) -> bool: ...
