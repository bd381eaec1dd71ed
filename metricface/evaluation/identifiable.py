"""Whom the photos of a split allow to identify, found before any of them is embedded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from metricface.contracts import CLEAN, GALLERY, PROBE, ROLE, Dataset, Item
from metricface.errors import DataError
from metricface.evaluation.roles import GALLERY_PROBE, check_roles

SAME_SOURCE, CROSS_SOURCE = "same-source", "cross-source"
DISTORT = "`metricface data distort` makes distorted photos from clean ones; with --split it keeps your split."


def check_identifiable(dataset: Dataset) -> None:
    """Refuse a split in which nobody can be identified.

    Raises:
        DataError: fewer than two people with a clean photo; nobody with a clean and a distorted one or, where no photo
            is distorted, nobody with two clean ones; with roles, see `roles.check_roles`.
    """
    if check_roles(dataset):
        return
    clean = Counter(item.label for item in dataset.items if item.condition == CLEAN)
    distorted = {item.label for item in dataset.items if item.condition != CLEAN}
    seen = f"{len(dataset.items)} photos" + "".join(f", the first is {item.path}" for item in dataset.items[:1])
    if len(clean) < 2:
        raise DataError(
            f"identification: a gallery needs two or more people with a clean photo (got {len(clean)} in {seen}). "
            "Add clean photos of other people."
        )
    if not distorted and max(clean.values()) < 2:
        raise DataError(
            f"identification: no photo is distorted and nobody has two clean ones ({seen}), so there is nothing to "
            f"identify. Add photos of the same people. {DISTORT}"
        )
    if distorted and not distorted & clean.keys():
        raise DataError(
            f"identification: nobody has both a clean and a distorted photo ({seen}), so there is nothing to "
            f"identify. {DISTORT}"
        )


def readings_of(dataset: Dataset) -> tuple[str, ...]:
    """Return the readings of a split that have probes, and so a figure over all of them."""
    if any(item.attributes.get(ROLE, "") for item in dataset.items):
        return (GALLERY_PROBE,) if _known_probe(dataset.items) else ()
    clean = Counter(item.label for item in dataset.items if item.condition == CLEAN)
    distorted = [item for item in dataset.items if item.condition != CLEAN]
    if not distorted:
        return (CROSS_SOURCE,) if max(clean.values(), default=0) > 1 else ()
    sources = {(item.label, item.source) for item in dataset.items if item.condition == CLEAN and item.source}
    known = [(item.label, item.source) in sources for item in distorted]
    found = {
        SAME_SOURCE: any(known),
        CROSS_SOURCE: any(clean[item.label] - own > 0 for item, own in zip(distorted, known, strict=True)),
    }
    return tuple(name for name, has_probes in found.items() if has_probes)


def _known_probe(items: Sequence[Item]) -> bool:
    """Whether a photo with the role probe is of a person in the gallery."""
    roles = [item.attributes.get(ROLE, "") for item in items]
    enrolled = {
        item.label for item, role in zip(items, roles, strict=True) if role == GALLERY and item.condition == CLEAN
    }
    return any(role == PROBE and item.label in enrolled for item, role in zip(items, roles, strict=True))
