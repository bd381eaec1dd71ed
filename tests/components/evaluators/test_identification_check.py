"""What the evaluator refuses before any training."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from metricface.components.evaluators.identification import Identification
from metricface.contracts import Item
from metricface.errors import DataError

CLEAN = [("p", "clean"), ("q", "clean")]
DISTORT = "`metricface data distort` makes distorted photos from clean ones; with --split it keeps your split."


def dataset(photos: list[tuple[str, str]]) -> SimpleNamespace:
    people = sorted({person for person, _ in photos})
    return SimpleNamespace(
        items=[Item(Path(f"val/{person}/x.jpg"), people.index(person), condition) for person, condition in photos]
    )


@pytest.mark.parametrize(
    ("photos", "message"),
    [
        ([], "a gallery needs two or more people with a clean photo (got 0 in 0 photos). Add clean photos of other"),
        (
            [("p", "clean"), ("q", "foggy")],
            "a gallery needs two or more people with a clean photo (got 1 in 2 photos, the first is val/p/x.jpg).",
        ),
        (
            CLEAN,
            "no photo is distorted and nobody has two clean ones (2 photos, the first is val/p/x.jpg), so there is "
            f"nothing to identify. Add photos of the same people. {DISTORT}",
        ),
        (
            [*CLEAN, ("r", "foggy")],
            f"nobody has both a clean and a distorted photo (3 photos, the first is val/p/x.jpg), so there is "
            f"nothing to identify. {DISTORT}",
        ),
    ],
)
def test_a_split_that_cannot_be_evaluated_is_refused(photos: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"identification: {message}")):
        Identification().check(dataset(photos))


def test_two_clean_people_and_a_distorted_photo_of_one_are_enough() -> None:
    Identification().check(dataset([*CLEAN, ("p", "foggy")]))


def test_two_clean_photos_of_one_person_are_enough_where_none_is_distorted() -> None:
    Identification().check(dataset([*CLEAN, ("p", "clean")]))
