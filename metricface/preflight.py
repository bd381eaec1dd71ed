"""What is checked of the data before any training."""

from __future__ import annotations

from collections.abc import Mapping

from metricface.contracts import Dataset
from metricface.errors import DataError

_NAMED = 3


def check_people_apart(splits: Mapping[str, Dataset]) -> None:
    """Refuse people who stand in more than one split: the figures would be of people that the model was trained on.

    Args:
        splits: split name -> dataset, for instance {"train": ..., "val": ...}.

    Raises:
        DataError: names the splits and a few of the people.
    """
    seen: dict[str, str] = {}
    for split, dataset in splits.items():
        people = sorted({item.identity for item in dataset.items if item.identity})
        twice = [person for person in people if person in seen]
        if twice:
            named = ", ".join(twice[:_NAMED]) + (f" and {len(twice) - _NAMED} more" * (len(twice) > _NAMED))
            raise DataError(
                f"data: {len(twice)} people are in both {seen[twice[0]]} and {split} ({named}), so {split} would not "
                "measure people never trained on. Keep each person in one split."
            )
        seen.update(dict.fromkeys(people, split))
