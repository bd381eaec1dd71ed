"""A gallery and probes of one's own: photos told apart by their `role`, people of the probes who may be unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricface.contracts import CLEAN, GALLERY, PROBE, ROLE, Dataset
from metricface.contracts.results import Reading, Row, Value
from metricface.errors import DataError

if TYPE_CHECKING:
    from metricface.contracts import EmbeddingSet, FloatArray, IntArray

GALLERY_PROBE = "gallery-probe"
_QUANTILES = {"q01": 0.01, "q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "q99": 0.99}


def check_roles(dataset: Dataset) -> bool:
    """Return whether a dataset gives its photos roles, after refusing roles that nobody can be identified with.

    Raises:
        DataError: a role that is neither gallery nor probe, fewer than two people in the gallery, or no probe.
    """
    roles = [item.attributes.get(ROLE, "") for item in dataset.items]
    if not any(roles):
        return False
    for item, role in zip(dataset.items, roles, strict=True):
        if role not in (GALLERY, PROBE, ""):
            raise DataError(f"{item.path}: unknown role (got {role!r}). Roles: {GALLERY}, {PROBE}, or none.")
    people = {
        item.label
        for item, role in zip(dataset.items, roles, strict=True)
        if role == GALLERY and item.condition == CLEAN
    }
    if len(people) < 2:
        raise DataError(
            f"identification: a gallery needs two or more people with a clean photo (got {len(people)} with the role "
            f"{GALLERY}). Add clean photos of other people."
        )
    if PROBE not in roles:
        raise DataError(f"identification: no photo has the role {PROBE}, so there is nothing to identify. Add some.")
    return True


def role_counts(embeddings: EmbeddingSet, people: int, unknown: IntArray) -> dict[str, int]:
    """Return how many people and photos play which part; `unknown` are the probes of people not in the gallery."""
    roles, distorted = embeddings.attributes[ROLE], embeddings.conditions != 0
    return {
        "gallery_people": people,
        "gallery_photos": int(((roles == GALLERY) & ~distorted).sum()),
        "unknown_people": len(np.unique(embeddings.labels[unknown])),
        "unknown_probes": len(unknown),
        "distorted_gallery_photos_left_out": int(((roles == GALLERY) & distorted).sum()),
        "photos_without_role": int((roles == "").sum()),
    }


def similarity_reading(genuine: FloatArray, unknown: FloatArray) -> Reading:
    """Return mean and quantiles of cosines, so that a threshold for "nobody of the gallery" can be judged.

    Args:
        genuine: of known probes to their own person.
        unknown: of unknown probes to the most similar person of the gallery: what a threshold must stay above.
    """
    rows = [
        Row(name, {"mean": _cosine(found.mean(), found), **_quantiles(found)})
        for name, found in (("genuine", genuine), ("unknown", unknown))
        if len(found)
    ]
    return Reading("similarity", {}, tuple(rows), by="similarity")


def _quantiles(found: FloatArray) -> dict[str, Value]:
    values = np.quantile(found, list(_QUANTILES.values()))
    return {name: _cosine(value, found) for name, value in zip(_QUANTILES, values, strict=True)}


def _cosine(value: float, found: FloatArray) -> Value:
    return Value(float(value), len(found), unit="cosine")
