"""A gallery of mean clean embeddings, and the rank of probes in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from metricface.contracts import EmbeddingSet, HasTraining, Index
from metricface.contracts.results import Outcomes
from metricface.functional.metrics.index_loss import scored_again

if TYPE_CHECKING:
    from metricface.contracts import FloatArray, IntArray

TIE = 1e-6
"""Two cosines closer than this are equal: the rounding of a float32 product of unit vectors."""

_FOUND = 11  # people that an index is asked for: ranks to 10 beside the own one
_BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Ranking:
    """What became of probes.

    Args:
        persons: (Q,) label of each probe's person.
        ranks: (Q,) 1 + the number of other people at least as similar as the own one, ties (TIE) included.
        predicted: (Q,) label of the most similar person; of another person in a tie.
        similarities: (Q,) cosine to the own person.
        nearest: (Q,) label of the most similar other person, -1 where there is none.
        nearest_similarities: (Q,) cosine to that person, -inf where there is none.
    """

    persons: IntArray
    ranks: IntArray
    predicted: IntArray
    similarities: FloatArray
    nearest: IntArray
    nearest_similarities: FloatArray

    def of(self, chosen: npt.NDArray[np.bool_]) -> Ranking:
        """Return the ranking of some of the probes."""
        return Ranking(*(getattr(self, field.name)[chosen] for field in fields(self)))


class Gallery:
    """Per person with a clean photo: the mean of its unit clean embeddings, renormalised.

    Args:
        embeddings: clean photos (condition 0) make the gallery; all photos may be ranked in it.
        enrolled: (N,) which photos may make it, if they are clean; None for all.
        index: dimension -> an index that people are looked for in; None compares with everybody.

    `labels`, `own_photos` and `own_source` are (N,) over all photos: the person, how many photos in the gallery the
    person has, and the index of the photo's own clean source among those (itself when it is one), -1 when unknown.
    """

    def __init__(
        self,
        embeddings: EmbeddingSet,
        enrolled: npt.NDArray[np.bool_] | None = None,
        index: Callable[[int], Index] | None = None,
    ) -> None:
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
        self._index = None if index is None or not self.people else filled(index(self._means.shape[1]), self._means)

    def rank(self, probes: IntArray, leave_out: IntArray) -> Ranking:
        """Rank probes by cosine.

        Args:
            probes: (Q,) indices of photos; each one's person is in the gallery.
            leave_out: (Q,) index of the clean photo that is left out of the person's own mean, -1 for none.
        """
        rank = self._rank_block if self._index is None else self._search_block
        blocks = [rank(probes[block], leave_out[block]) for block in self._blocks(len(probes))]
        if not blocks:
            none = np.empty(0, np.int64)
            return Ranking(none, none, none, np.empty(0, np.float32), none, np.empty(0, np.float32))
        return Ranking(*(np.concatenate([getattr(block, field.name) for block in blocks]) for field in fields(Ranking)))

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

    def _rank_block(self, probes: IntArray, leave_out: IntArray) -> Ranking:
        """Rank probes (Q,) whose similarities fit the memory."""
        vectors = self._vectors[probes]
        own = self._own_row[probes]
        everyone = np.arange(len(probes))
        similarity = vectors @ self._means.T  # (Q, D) @ (D, G) -> (Q, G)
        without = leave_out >= 0
        own_similarity = similarity[everyone, own]
        own_similarity[without] = self._without(probes[without], leave_out[without])
        similarity[everyone, own] = -np.inf
        others_ahead = (similarity >= own_similarity[:, None] - TIE).sum(axis=1)
        nearest = similarity.argmax(axis=1)
        best = np.where(others_ahead > 0, nearest, own)
        return Ranking(
            persons=self.labels[probes],
            ranks=1 + others_ahead,
            predicted=self._persons[best],
            similarities=own_similarity,
            nearest=np.where(nearest == own, -1, self._persons[nearest]),  # alone in the gallery
            nearest_similarities=similarity[everyone, nearest],
        )

    def _without(self, probes: IntArray, left_out: IntArray) -> FloatArray:
        """Return the cosine (Q,) of probes to their own person without one of the person's photos."""
        means = _unit(self._sums[self._own_row[probes]] - self._vectors[left_out])
        found: FloatArray = np.einsum("qd,qd->q", self._vectors[probes], means).astype(np.float32)
        return found

    def _search_block(self, probes: IntArray, leave_out: IntArray) -> Ranking:
        """Rank probes (Q,) among the people that the index finds; one whose own person is not found has the last rank.

        What is found is compared exactly.
        """
        assert self._index is not None
        vectors, own = self._vectors[probes], self._own_row[probes]
        _, rows = self._index.search(vectors, min(self.people, _FOUND))
        similarity = scored_again(vectors, self._means, rows)
        mine = rows == own[:, None]
        own_similarity = np.einsum("qd,qd->q", vectors, self._means[own])
        without = leave_out >= 0
        own_similarity[without] = self._without(probes[without], leave_out[without])
        similarity[mine] = -np.inf
        ahead = (similarity >= own_similarity[:, None] - TIE).sum(axis=1)
        seen = mine.any(axis=1)
        nearest = rows[np.arange(len(probes)), similarity.argmax(axis=1)]
        nearest_similarity = similarity.max(axis=1)
        alone = nearest_similarity == -np.inf
        best = np.where((ahead > 0) | ~seen, nearest, own)
        return Ranking(
            persons=self.labels[probes],
            ranks=np.where(seen, 1 + ahead, rows.shape[1] + 1),
            predicted=np.where(seen | ~alone, self._persons[best], -1),  # where nobody was found, nobody
            similarities=own_similarity,
            nearest=np.where(alone, -1, self._persons[nearest]),
            nearest_similarities=nearest_similarity,
        )


def filled(index: Index, vectors: FloatArray) -> Index:
    """Return an index with vectors (N, D), trained on them where it takes training.

    Raises:
        MetricFaceError: the index refuses, for instance too few vectors.
    """
    if isinstance(index, HasTraining):
        index.train(vectors)
    index.add(vectors)
    return index


def outcomes(found: Sequence[tuple[str, IntArray, Ranking]], embeddings: EmbeddingSet) -> Outcomes:
    """Return what became of every probe in every reading; unknown people have no rank and no row.

    `nearest` is the most similar other person, `own_cosine` and `nearest_cosine` how similar both are, `margin` their
    difference: above 0 where the own person is ahead. All are "" where the gallery holds nobody else.

    Args:
        found: a reading's name, its probes as indices (Q,) of photos, and their ranking.
        embeddings: that both are of.
    """
    rows = [
        (reading, photo, ranking, place) for reading, photos, ranking in found for place, photo in enumerate(photos)
    ]
    own = [float(ranking.similarities[place]) for *_, ranking, place in rows]
    other = [float(ranking.nearest_similarities[place]) for *_, ranking, place in rows]
    nearest = [int(ranking.nearest[place]) for *_, ranking, place in rows]
    return {
        "reading": [reading for reading, *_ in rows],
        "path": [str(embeddings.paths[photo]) for _, photo, *_ in rows],
        "person": [embeddings.label_names[embeddings.labels[photo]] for _, photo, *_ in rows],
        "condition": [embeddings.condition_names[embeddings.conditions[photo]] for _, photo, *_ in rows],
        "rank": [int(ranking.ranks[place]) for *_, ranking, place in rows],
        "nearest": ["" if label < 0 else embeddings.label_names[label] for label in nearest],
        "own_cosine": [_rounded(cosine) for cosine in own],
        "nearest_cosine": [_rounded(cosine) for cosine in other],
        "margin": [_rounded(mine - theirs) for mine, theirs in zip(own, other, strict=True)],
    }


def _rounded(cosine: float) -> str:
    return f"{cosine:.6f}" if np.isfinite(cosine) else ""


def _unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return rows of unit length; photos that cancel out leave a zero row, which is similar to nobody."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: npt.NDArray[np.float64] = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    return unit
