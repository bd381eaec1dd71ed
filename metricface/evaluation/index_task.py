"""What an index is measured on: a gallery, probes of the people in it, and probes of people who are not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metricface.contracts import GALLERY, PROBE, ROLE, Dataset, EmbeddingSet
from metricface.errors import DataError
from metricface.evaluation.unit_vectors import check_unit_vectors

if TYPE_CHECKING:
    import numpy.typing as npt

    from metricface.contracts.arrays import FloatArray, IntArray

UNKNOWN_SHARE = 0.2
"""Of all people, who are not in the gallery where nobody says who is."""


@dataclass(frozen=True, slots=True)
class SearchTask:
    """A gallery and probes.

    Args:
        gallery: (G, D) float32, unit length.
        gallery_people: (G,) int64.
        probes: (Q, D) float32, unit length.
        probe_people: (Q,) int64; -1 - n for person n of those who are not in the gallery.
        conditions: (Q,) int64 of the probes, index into `condition_names`.
        condition_names: 0 is clean.
        about: how they came about, in a sentence.
    """

    gallery: FloatArray
    gallery_people: IntArray
    probes: FloatArray
    probe_people: IntArray
    conditions: IntArray
    condition_names: tuple[str, ...]
    about: str

    @property
    def mated(self) -> npt.NDArray[np.bool_]:
        """(Q,) whether the probe's person is in the gallery."""
        found: npt.NDArray[np.bool_] = self.probe_people >= 0
        return found


def search_task(embeddings: EmbeddingSet, probes: EmbeddingSet | None = None, *, seed: int = 0) -> SearchTask:
    """Return the task of embeddings.

    With `probes`, those are looked for among `embeddings`. Where photos have roles, those count. Otherwise of every
    person each second photo goes into the gallery, clean ones alone where there are distorted ones, and the others with
    all of their distortions are probes: no probe shows a photo of the gallery. A fifth of the people, by the seed, are
    not in the gallery.

    Raises:
        DataError: no probe, nobody in the gallery, or two sets of other dimensions.
        EvaluationError: a vector is not of unit length.
    """
    check_unit_vectors(embeddings)
    if probes is not None:
        check_unit_vectors(probes)
        return _given(embeddings, probes)
    roles = embeddings.attributes.get(ROLE)
    if roles is not None and (roles != "").any():
        about = "gallery and probes by the role of every photo"
        return _task(embeddings, roles == GALLERY, roles == PROBE, np.zeros(len(roles), np.bool_), about)
    enrolled, unknown = _split(embeddings, seed)
    about = (
        f"each second photo of a person in the gallery, the others with their distortions are probes; "
        f"{UNKNOWN_SHARE:.0%} of the people are not in the gallery (seed {seed})"
    )
    return _task(embeddings, enrolled & ~unknown, ~enrolled, unknown, about)


def check_searchable(dataset: Dataset) -> None:
    """Refuse, before any of it is embedded, a split in which nobody can be looked for.

    Raises:
        DataError: with roles, no gallery or no probe; without, nobody has two photos that are no distortions of one.
    """
    roles = [item.attributes.get(ROLE, "") for item in dataset.items]
    if any(roles):
        possible = GALLERY in roles and PROBE in roles
    else:
        originals = {(item.label, item.source or str(item.path)) for item in dataset.items}
        possible = max(Counter(label for label, _ in originals).values(), default=0) > 1
    if not possible:
        raise DataError(
            f"index-bench: nobody can be looked for in {len(dataset.items)} photos. Give people of two photos or more."
        )


def _given(embeddings: EmbeddingSet, probes: EmbeddingSet) -> SearchTask:
    if embeddings.vectors.shape[1] != probes.vectors.shape[1]:
        raise DataError(
            f"probes: have {probes.vectors.shape[1]} dimensions, the gallery {embeddings.vectors.shape[1]}. "
            "Embed both with one model."
        )
    place = {name: number for number, name in enumerate(embeddings.label_names)}
    known = np.array([place.get(name, -1 - number) for number, name in enumerate(probes.label_names)], np.int64)
    present = np.isin(known, embeddings.labels) | (known < 0)
    known = np.where(present, known, -1 - np.arange(len(known)))  # named, and without a photo
    return SearchTask(
        gallery=embeddings.vectors,
        gallery_people=embeddings.labels,
        probes=probes.vectors,
        probe_people=known[probes.labels],
        conditions=probes.conditions,
        condition_names=probes.condition_names,
        about="a gallery and probes of one's own",
    )


def _split(embeddings: EmbeddingSet, seed: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return (N,) which originals go into the gallery, their distortions with them, and who is not in it at all."""
    names = np.where(embeddings.sources == "", embeddings.paths, embeddings.sources)
    enrolled = np.zeros(len(names), np.bool_)
    for rows in _by_person(embeddings.labels):
        originals = np.unique(names[rows])[::2]
        enrolled[rows] = np.isin(names[rows], originals)
    people = np.unique(embeddings.labels)
    away = np.random.default_rng(seed).permutation(people)[: round(UNKNOWN_SHARE * len(people))]
    return enrolled, np.isin(embeddings.labels, away)


def _by_person(labels: IntArray) -> list[IntArray]:
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _task(
    embeddings: EmbeddingSet,
    enrolled: npt.NDArray[np.bool_],
    probing: npt.NDArray[np.bool_],
    unknown: npt.NDArray[np.bool_],
    about: str,
) -> SearchTask:
    """Return the task of one set of photos; those of people without a gallery photo are of unknown people."""
    gallery = np.flatnonzero(enrolled & (embeddings.conditions == 0) & ~unknown)
    probes = np.flatnonzero(probing)
    if not len(gallery) or not len(probes):
        raise DataError(
            f"index bench: {len(gallery)} photos for the gallery and {len(probes)} probes. Give people of two photos "
            "or more, or probes of your own (--probes)."
        )
    known = np.isin(embeddings.labels[probes], embeddings.labels[gallery])
    people = np.where(known, embeddings.labels[probes], -1 - embeddings.labels[probes])
    return SearchTask(
        gallery=np.ascontiguousarray(embeddings.vectors[gallery]),
        gallery_people=embeddings.labels[gallery],
        probes=np.ascontiguousarray(embeddings.vectors[probes]),
        probe_people=people,
        conditions=embeddings.conditions[probes],
        condition_names=embeddings.condition_names,
        about=about,
    )
