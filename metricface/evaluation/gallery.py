"""A gallery of mean clean embeddings, and the rank of probes in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from metricface.contracts import EmbeddingSet

if TYPE_CHECKING:
    from metricface.contracts import FloatArray, IntArray

TIE = 1e-6
"""Two cosines closer than this are equal: the rounding of a float32 product of unit vectors."""

_BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Ranking:
    """What became of probes.

    Args:
        persons: (Q,) label of each probe's person.
        ranks: (Q,) 1 + the number of other people at least as similar as the own one, ties (TIE) included.
        predicted: (Q,) label of the most similar person; of another person in a tie.
        similarities: (Q,) cosine to the own person.
    """

    persons: IntArray
    ranks: IntArray
    predicted: IntArray
    similarities: FloatArray

    def of(self, chosen: npt.NDArray[np.bool_]) -> Ranking:
        """Return the ranking of some of the probes."""
        return Ranking(self.persons[chosen], self.ranks[chosen], self.predicted[chosen], self.similarities[chosen])


class Gallery:
    """Per person with a clean photo: the mean of its unit clean embeddings, renormalised.

    Args:
        embeddings: clean photos (condition 0) make the gallery; all photos may be ranked in it.
        enrolled: (N,) which photos may make it, if they are clean; None for all.

    `labels`, `own_photos` and `own_source` are (N,) over all photos: the person, how many photos in the gallery the
    person has, and the index of the photo's own clean source among those (itself when it is one), -1 when unknown.
    """

    def __init__(self, embeddings: EmbeddingSet, enrolled: npt.NDArray[np.bool_] | None = None) -> None:
        self._vectors = embeddings.vectors
        self.labels = embeddings.labels
        clean = np.flatnonzero((embeddings.conditions == 0) & (True if enrolled is None else enrolled))
        self._persons, rows = np.unique(self.labels[clean], return_inverse=True)
        self.people = len(self._persons)
        self._sums = np.zeros((self.people, self._vectors.shape[1]))
        np.add.at(self._sums, rows, self._vectors[clean])
        self._means = _unit(self._sums).astype(np.float32)
        row_of_label = np.full(len(embeddings.label_names), -1, np.int64)
        row_of_label[self._persons] = np.arange(self.people)
        self._own_row = row_of_label[self.labels]
        self.own_photos = np.append(np.bincount(rows, minlength=self.people), 0)[self._own_row]
        known = {(self.labels[i], str(embeddings.sources[i])): i for i in clean if embeddings.sources[i]}
        self.own_source = np.array(
            [known.get((label, str(key)), -1) for label, key in zip(self.labels, embeddings.sources, strict=True)],
            np.int64,
        ).reshape(-1)
        self.own_source[clean] = clean

    def rank(self, probes: IntArray, leave_out: IntArray) -> Ranking:
        """Rank probes by cosine.

        Args:
            probes: (Q,) indices of photos; each one's person is in the gallery.
            leave_out: (Q,) index of the clean photo that is left out of the person's own mean, -1 for none.
        """
        ranks = np.empty(len(probes), np.int64)
        predicted = np.empty(len(probes), np.int64)
        similarities = np.empty(len(probes), np.float32)
        for block in self._blocks(len(probes)):
            ranks[block], best, similarities[block] = self._rank_block(probes[block], leave_out[block])
            predicted[block] = self._persons[best]
        return Ranking(self.labels[probes], ranks, predicted, similarities)

    def highest(self, probes: IntArray) -> FloatArray:
        """Return the cosine (Q,) of probes, given as indices of photos, to the most similar person of the gallery."""
        found = np.empty(len(probes), np.float32)
        for block in self._blocks(len(probes)):
            found[block] = (self._vectors[probes[block]] @ self._means.T).max(axis=1)  # (Q, D) @ (D, G) -> (Q, G)
        return found

    def _blocks(self, probes: int) -> Iterator[slice]:
        """Yield slices of probes whose similarities fit the memory."""
        # A probe's similarities are float32; its own mean is renormalised in float64.
        step = max(1, _BLOCK_BYTES // (4 * self.people + 8 * self._vectors.shape[1]))
        for start in range(0, probes, step):
            yield slice(start, start + step)

    def _rank_block(self, probes: IntArray, leave_out: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
        """Return ranks (Q,), the gallery row (Q,) of the most similar person, and the cosine (Q,) to the own one."""
        vectors = self._vectors[probes]
        own = self._own_row[probes]
        everyone = np.arange(len(probes))
        similarity = vectors @ self._means.T  # (Q, D) @ (D, G) -> (Q, G)
        without = leave_out >= 0
        means = _unit(self._sums[own[without]] - self._vectors[leave_out[without]])
        similarity[everyone[without], own[without]] = np.einsum("qd,qd->q", vectors[without], means)
        own_similarity = similarity[everyone, own]
        similarity[everyone, own] = -np.inf
        others_ahead = (similarity >= own_similarity[:, None] - TIE).sum(axis=1)
        best = np.where(others_ahead > 0, similarity.argmax(axis=1), own)
        return 1 + others_ahead, best, own_similarity


def _unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return rows of unit length; photos that cancel out leave a zero row, which is similar to nobody."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: npt.NDArray[np.float64] = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    return unit
