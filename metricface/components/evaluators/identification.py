"""Identification: clean gallery, distorted probes, or a gallery and probes of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from metricface.contracts import GALLERY, PROBE, ROLE, Dataset, EmbeddingSet, IndexChoice, Need, Subject
from metricface.contracts.results import Reading, Refusal, Result, Row, Value
from metricface.evaluation.gallery import Gallery, Ranking, outcomes
from metricface.evaluation.identifiable import CROSS_SOURCE, DISTORT, SAME_SOURCE, check_identifiable, readings_of
from metricface.evaluation.roles import GALLERY_PROBE, role_counts, similarity_reading
from metricface.evaluation.unit_vectors import check_unit_vectors
from metricface.functional.metrics.bootstrap import person_interval

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_CLEAN_ALONE = (
    "no photo is distorted: cross-source is of the clean photos, each left out of its own person's mean, and has no "
    f"row of a distortion. {DISTORT}"
)


@dataclass(frozen=True, slots=True)
class _Found:
    """What one way to read the photos gives; `probes` (Q,) are the photos that `ranking` is of."""

    readings: tuple[Reading, ...]
    refusals: list[Refusal]
    probes: Ints
    ranking: Ranking


class Identification:
    """Rank-1 and rank-5 identification of distorted photos against a gallery of clean ones, in two readings.

    The gallery holds every person with a clean photo as the mean of its unit clean embeddings, renormalised; people
    with a single clean photo stay in it as distractors. A probe is identified when its own person is the most
    similar by cosine; another person within 1e-6 of that (the rounding of float32) counts as a tie, and a tie is
    wrong, so a model that maps all photos to one point scores 0.

    `same-source`: the probe's own clean original is in the gallery. Probes whose original is unknown are left out.
    `cross-source`: that original is left out of its person's mean; people with no other clean photo are left out as
    probes. A probe whose original is unknown is compared with the whole mean: its original is not in the gallery.
    The row `clean`, in both readings, has the clean photos as probes, each left out of its own person's mean.
    `rank1`, `rank5` and `n` at the top are over distorted probes. Where no photo is distorted there is `cross-source`
    alone, and its top is over the clean photos: plain face recognition.

    Where photos have a role (`Item.attributes["role"]`, "gallery" or "probe"), one reading takes the place of both:
    `gallery-probe`, with the clean photos of the role gallery in the gallery and every photo of the role probe,
    clean ones too, as a probe; its figures at the top are over all probes. Whether a probe's own photo is in the
    gallery is not known. People of the probes who are not in the gallery are unknown: counted apart, never in
    `rank1`; `similarity` has their highest cosine beside the genuine ones, to judge a threshold by.

    Precision, recall and F1 are macro averages over the people with probes in the row, 0 for a person never
    predicted; the prediction of a tied probe is the other person. Intervals are 95 % percentile
    bootstrap intervals of rank-1 over people.

    Args:
        bootstrap_samples: of the intervals.
        seed: of the intervals.
        index: where people are looked for; all are compared when absent. A probe whose own person is not among the 11
            that it finds has rank 12.

    Source:
        ISO/IEC 19795-1 (identification rank); the two readings are ours.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"embeddings"})
    metrics: ClassVar[tuple[str, ...]] = (f"{SAME_SOURCE}.rank1", f"{CROSS_SOURCE}.rank1", f"{GALLERY_PROBE}.rank1")

    def __init__(
        self,
        *,
        bootstrap_samples: Annotated[int, Ge(1), Le(100_000)] = 1000,
        seed: Annotated[int, Ge(0)] = 0,
        index: IndexChoice | None = None,
    ) -> None:
        self._index = index
        self._bootstrap = {"samples": bootstrap_samples, "seed": seed}

    def __call__(self, subject: Subject) -> Result:
        """Embed the subject's photos and identify them."""
        return self.of(subject.embed(subject.dataset))

    def of(self, embeddings: EmbeddingSet) -> Result:
        """Identify embeddings, wherever they were made; a pure function of them and the arguments.

        Raises:
            EvaluationError: a vector is not finite or not of length 1; names the first such photo.
        """
        check_unit_vectors(embeddings)
        if np.any(embeddings.attributes.get(ROLE, "") != ""):
            found = [self._by_role(embeddings)]
        else:
            gallery = self._gallery(embeddings)
            names = (SAME_SOURCE, CROSS_SOURCE) if embeddings.conditions.any() else (CROSS_SOURCE,)
            found = [self._reading(name, embeddings, gallery) for name in names]
        return Result(
            tuple(reading for part in found for reading in part.readings),
            refusals=tuple(refusal for part in found for refusal in part.refusals),
            outcomes=outcomes([(part.readings[0].name, part.probes, part.ranking) for part in found], embeddings),
        )

    def check(self, dataset: Dataset) -> None:
        """Refuse a split in which nobody can be identified, see `identifiable.check_identifiable`."""
        check_identifiable(dataset)

    def metrics_on(self, dataset: Dataset) -> tuple[str, ...]:
        """Return which of `metrics` a split gives: those of the readings that have probes."""
        return tuple(f"{reading}.rank1" for reading in readings_of(dataset))

    def _gallery(self, embeddings: EmbeddingSet, enrolled: Bools | None = None) -> Gallery:
        return Gallery(embeddings, enrolled, None if self._index is None else self._index.make)

    def _searched(self, gallery: Gallery) -> dict[str, int]:
        """Return what to say beside the counts of a reading that an index was searched for."""
        return {} if self._index is None else {f"people searched with index {self._index}": gallery.people}

    def _reading(self, name: str, embeddings: EmbeddingSet, gallery: Gallery) -> _Found:
        """Return one reading of clean and distorted photos, and what of it cannot be given."""
        distorted = embeddings.conditions != 0
        used, counts = _usable(name, distorted, gallery)
        leave_out = gallery.own_source.copy()
        if name == SAME_SOURCE:
            leave_out[distorted] = -1  # the original stays in the gallery
        probes = np.flatnonzero(used)
        ranking = gallery.rank(probes, leave_out[probes])
        top = ranking.of(distorted[probes]) if distorted.any() else ranking
        refusals = _no_rank5(name, gallery)
        if not distorted.any():
            refusals.insert(0, Refusal(f"{SAME_SOURCE}.rank1", _CLEAN_ALONE))
        if not len(top.ranks):
            refusals.insert(0, Refusal(f"{name}.rank1", _why_no_probe(name, distorted, gallery)))
        rows = self._rows(ranking, embeddings, probes, gallery.people)
        reading = Reading(name, self._figures(top, gallery.people), rows, {**counts, **self._searched(gallery)})
        return _Found((reading,), refusals, probes, ranking)

    def _by_role(self, embeddings: EmbeddingSet) -> _Found:
        """Return the reading of a gallery and probes of one's own, and the similarities in it."""
        roles = embeddings.attributes[ROLE]
        gallery = self._gallery(embeddings, roles == GALLERY)
        known = gallery.own_photos > 0
        probes, unknown = np.flatnonzero((roles == PROBE) & known), np.flatnonzero((roles == PROBE) & ~known)
        ranking = gallery.rank(probes, np.full(len(probes), -1))
        refusals = _no_rank5(GALLERY_PROBE, gallery)
        if not len(probes):
            why = "no probe is of a person in the gallery. A person needs one name in both."
            refusals.insert(0, Refusal(f"{GALLERY_PROBE}.rank1", why))
        rows = self._rows(ranking, embeddings, probes, gallery.people)
        counts = {**role_counts(embeddings, gallery.people, unknown), **self._searched(gallery)}
        reading = Reading(GALLERY_PROBE, self._figures(ranking, gallery.people), rows, counts)
        highest = gallery.highest(unknown) if gallery.people else np.empty(0, np.float32)
        return _Found((reading, similarity_reading(ranking.similarities, highest)), refusals, probes, ranking)

    def _rows(self, ranking: Ranking, embeddings: EmbeddingSet, probes: Ints, people: int) -> tuple[Row, ...]:
        """Return the figures of every condition that has probes."""
        conditions = embeddings.conditions[probes]
        return tuple(
            Row(embeddings.condition_names[number], self._figures(ranking.of(conditions == number), people))
            for number in np.unique(conditions)
        )

    def _figures(self, ranking: Ranking, people: int) -> dict[str, Value]:
        """Return the figures of some probes; none for no probes."""
        n = len(ranking.ranks)
        if n == 0:
            return {}
        hits = (ranking.ranks == 1).astype(np.float64)
        interval = person_interval(hits, ranking.persons, **self._bootstrap)
        figures = {"rank1": Value(float(hits.mean()), n, interval)}
        if people >= 5:
            figures["rank5"] = Value(float((ranking.ranks <= 5).mean()), n)
        for figure, value in zip(("precision", "recall", "f1"), _macro(ranking), strict=True):
            figures[figure] = Value(value, n)
        return figures


def _usable(name: str, distorted: Bools, gallery: Gallery) -> tuple[Bools, dict[str, int]]:
    """Return which photos are probes of a reading, and how many are not and why."""
    clean = ~distorted
    enrolled = gallery.own_photos > 0
    has_source = gallery.own_source >= 0
    other = gallery.own_photos - has_source >= 1
    counts = {
        "gallery_people": gallery.people,
        "probes_of_people_without_clean_photo": int((distorted & ~enrolled).sum()),
        "clean_probes_without_other_photo": int((clean & ~other).sum()),
    }
    if name == SAME_SOURCE:
        usable = distorted & enrolled & has_source
        counts["probes_without_known_source"] = int((distorted & enrolled & ~has_source).sum())
    else:
        usable = distorted & enrolled & other
        left_out = distorted & enrolled & ~other
        counts["probes_without_other_photo"] = int(left_out.sum())
        counts["people_without_other_photo"] = len(np.unique(gallery.labels[left_out]))
    return usable | (clean & other), counts


def _no_rank5(name: str, gallery: Gallery) -> list[Refusal]:
    """Return the refusal of rank 5 in a small gallery."""
    if gallery.people >= 5:
        return []
    return [Refusal(f"{name}.rank5", f"the gallery has {gallery.people} people: rank 5 needs 5 or more")]


def _why_no_probe(name: str, distorted: Bools, gallery: Gallery) -> str:
    """Return why no distorted photo can be a probe of a reading, and the way out."""
    if not distorted.any():
        return "nobody has two clean photos. Add photos of the same people."
    if not (distorted & (gallery.own_photos > 0)).any():
        return f"nobody has both a clean and a distorted photo. {DISTORT}"
    if name == SAME_SOURCE:
        return "no distorted photo names a clean one of its person as its original. Name it <original>_<condition>."
    return "nobody with a distorted photo has a clean one besides its original. Add clean photos of the same people."


def _macro(ranking: Ranking) -> Sequence[float]:
    """Return macro precision, recall and F1 over the people that the probes belong to."""
    from sklearn.metrics import precision_recall_fscore_support

    found = precision_recall_fscore_support(
        ranking.persons, ranking.predicted, labels=np.unique(ranking.persons), average="macro", zero_division=0
    )
    return [float(value) for value in found[:3]]
