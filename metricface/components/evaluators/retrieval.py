"""How well photos find others of their person among all photos."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le, MinLen

from metricface.contracts import CLEAN, GALLERY, PROBE, ROLE, Dataset, EmbeddingSet, IndexChoice, Need, Subject
from metricface.contracts.results import Outcomes, Reading, Refusal, Result, Row, Value
from metricface.errors import DataError
from metricface.evaluation.gallery import filled
from metricface.evaluation.unit_vectors import check_unit_vectors
from metricface.functional.metrics.bootstrap import person_interval
from metricface.functional.metrics.retrieval import FIGURES, Retrieved, retrieve, retrieve_found

if TYPE_CHECKING:
    import numpy.typing as npt

    from metricface.contracts.arrays import IntArray

_HEADLINE = "precision_at_1"
_ALL_MATCHES = ("map", "minp")


class Retrieval:
    """Precision, recall, R-precision, mean average precision and mINP of every photo looking for its person.

    Every photo is a query among the clean photos, or among all where none is distorted; with roles, probes look among
    the gallery. A query never meets itself or the photo that it is a distortion of. One that has no match left is
    unmated: counted, and in no figure. `n` counts mated queries.

    Args:
        k: of recall, the share of queries with a match among the k nearest.
        bootstrap_samples: of people, for the 95 % interval of precision at 1.
        seed: of the bootstrap.
        index: where photos are looked for; all are compared when absent. mAP and mINP, which look at every match, are
            not given with one.

    Source:
        The figures are those of `metricface.functional.metrics.retrieval.Retrieved`.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"embeddings"})
    metrics: ClassVar[tuple[str, ...]] = FIGURES

    def __init__(
        self,
        *,
        k: Annotated[tuple[Annotated[int, Ge(1)], ...], MinLen(1)] = (1, 5, 10),
        bootstrap_samples: Annotated[int, Ge(1), Le(100_000)] = 1000,
        seed: Annotated[int, Ge(0)] = 0,
        index: IndexChoice | None = None,
    ) -> None:
        self._k, self._index = k, index
        self._bootstrap = {"samples": bootstrap_samples, "seed": seed}

    def __call__(self, subject: Subject) -> Result:
        """Embed the subject's photos and look for them."""
        return self.of(subject.embed(subject.dataset))

    def of(self, embeddings: EmbeddingSet) -> Result:
        """Look for embeddings, wherever they were made; a pure function of them and the arguments.

        Raises:
            EvaluationError: a vector is not finite or not of length 1, or nobody has another photo.
        """
        check_unit_vectors(embeddings)
        asking, enrolled = _queries_and_gallery(embeddings)
        queries, gallery = np.flatnonzero(asking), np.flatnonzero(enrolled)
        found = self._found(embeddings, queries, gallery)
        photos = queries[found.queries]
        conditions = embeddings.conditions[photos]
        rows = tuple(
            Row(
                embeddings.condition_names[number],
                self._figures(found, embeddings.labels[photos], conditions == number),
            )
            for number in np.unique(conditions)
        )
        everyone = np.ones(len(photos), np.bool_)
        figures = self._figures(found, embeddings.labels[photos], everyone)
        counts: dict[str, int | None] = {"gallery_photos": len(gallery)}
        if self._index is not None:
            counts[f"photos searched with index {self._index}"] = len(gallery)
        figures["unmated"] = Value(found.unmated, len(queries), unit="count")
        refusals = tuple(
            Refusal(name, "it looks at every match, and an index was searched")
            for name in (_ALL_MATCHES if self._index else ())
        )
        reading = Reading("", figures, rows, counts)
        return Result((reading,), refusals=refusals, outcomes=_outcomes(embeddings, photos, found))

    def _found(self, embeddings: EmbeddingSet, queries: IntArray, gallery: IntArray) -> Retrieved:
        """Look for queries in the gallery, both given as places of photos."""
        keys, labels, vectors = _originals(embeddings), embeddings.labels, embeddings.vectors
        asked = vectors if len(queries) == len(vectors) else vectors[queries]
        among = vectors if len(gallery) == len(vectors) else vectors[gallery]
        left_out = (keys[queries], keys[gallery])
        if self._index is None or not len(gallery):
            return retrieve(asked, labels[queries], among, labels[gallery], left_out=left_out)
        most = np.bincount(labels[gallery]).max() + np.bincount(keys[gallery]).max() + max(self._k)
        index = filled(self._index.make(vectors.shape[1]), among)
        ids = index.search(asked, min(int(most), len(gallery)))[1]
        return retrieve_found(ids, labels[queries], labels[gallery], left_out=left_out)

    def check(self, dataset: Dataset) -> None:
        """Refuse a split in which no photo has another of its person.

        Raises:
            DataError: says how many photos of how many people there are.
        """
        if any(item.attributes.get(ROLE, "") for item in dataset.items):
            enrolled = {item.label for item in dataset.items if item.attributes.get(ROLE) == GALLERY}
            possible = any(item.attributes.get(ROLE) == PROBE and item.label in enrolled for item in dataset.items)
        else:
            clean = Counter(item.label for item in dataset.items if item.condition == CLEAN)
            possible = max(clean.values(), default=0) > 1
        if not possible:
            raise DataError(
                f"retrieval: no photo has another of its person to find ({len(dataset.items)} photos). "
                "Add clean photos of the same people."
            )

    def _figures(self, found: Retrieved, persons: IntArray, chosen: npt.NDArray[np.bool_]) -> dict[str, Value]:
        """Return the figures of some queries."""
        n = int(chosen.sum())
        given = [name for name in FIGURES if self._index is None or name not in _ALL_MATCHES]
        figures = {name: Value(float(getattr(found, name)[chosen].mean()), n) for name in given}
        interval = person_interval(found.precision_at_1[chosen], persons[chosen], **self._bootstrap)
        figures[_HEADLINE] = Value(figures[_HEADLINE].value, n, interval)
        recalls = {f"recall_at_{k}": Value(float(found.recall_at(k)[chosen].mean()), n) for k in self._k}
        return {**figures, **recalls}


def _queries_and_gallery(embeddings: EmbeddingSet) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return (N,) which photos ask and which are looked among."""
    roles = embeddings.attributes.get(ROLE)
    if roles is not None and np.any(roles != ""):
        return roles == PROBE, roles == GALLERY
    return np.ones(len(embeddings.labels), np.bool_), embeddings.conditions == 0


def _originals(embeddings: EmbeddingSet) -> IntArray:
    """Return (N,) a number for the photo that each shows, equal for a photo and its distortions."""
    shown = np.where(embeddings.sources == "", np.char.add("path ", embeddings.paths), embeddings.sources)
    pairs = np.char.add(np.char.add(embeddings.labels.astype(np.str_), " "), shown)
    numbers: IntArray = np.unique(pairs, return_inverse=True)[1].astype(np.int64)
    return numbers


def _outcomes(embeddings: EmbeddingSet, photos: IntArray, found: Retrieved) -> Outcomes:
    """Return what became of every mated query."""
    return {
        "reading": [""] * len(photos),
        "path": [str(embeddings.paths[photo]) for photo in photos],
        "person": [embeddings.label_names[embeddings.labels[photo]] for photo in photos],
        "condition": [embeddings.condition_names[embeddings.conditions[photo]] for photo in photos],
        "rank": found.first_rank.tolist(),
        "average_precision": [round(float(value), 6) for value in found.map],
    }
