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
NOTHING = "so there is nothing to identify. `metricface data distort` makes distorted photos from clean ones."


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
        (CLEAN, f"no photo is distorted (2 photos, the first is val/p/x.jpg), {NOTHING}"),
        (
            [*CLEAN, ("r", "foggy")],
            f"nobody has both a clean and a distorted photo (3 photos, the first is val/p/x.jpg), {NOTHING}",
        ),
    ],
)
def test_a_split_that_cannot_be_evaluated_is_refused(photos: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"identification: {message}")):
        Identification().check(dataset(photos))


def test_two_clean_people_and_a_distorted_photo_of_one_are_enough() -> None:
    Identification().check(dataset([*CLEAN, ("p", "foggy")]))
