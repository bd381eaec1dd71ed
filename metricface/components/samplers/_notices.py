"""What a sampler of people tells about the people it was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from metricface.errors import counted

CLEAN_ALONE = (
    "sampler cross-condition: no photo of train is distorted and no transform distorts one, so its batches are those "
    'of identity-balanced. For distorted views, add [[transform]] name = "random-distortion", or photos on disk: '
    "metricface data distort"
)


def notices_on_singletons(sizes: npt.NDArray[np.int64], singletons: str) -> list[str]:
    """Return a line when people have a single photo, and what happens to them; `sizes` (people,): photos of each."""
    fate = "left out" if singletons == "drop" else "it is repeated, each time augmented anew"
    return _lines({f"a single photo: {fate}": sizes == 1})


def notices_on_conditions(counts: npt.NDArray[np.int64]) -> list[str]:
    """Return a line for each kind of people that lack photos of a kind; `counts` (people, 2): clean, distorted."""
    return _lines(
        {
            "no distorted photo: their groups hold clean photos only": counts[:, 1] == 0,
            "no clean photo: they lead one group per epoch": counts[:, 0] == 0,
        }
    )


def _lines(lacking: Mapping[str, npt.NDArray[np.bool_]]) -> list[str]:
    return [
        f"{who.sum()} of {len(who)} people {'has' if who.sum() == 1 else 'have'} {what}"
        for what, who in lacking.items()
        if who.any()
    ]


def notices_on_groups(leads: Sequence[int], groups: Sequence[int], batches: int) -> list[str]:
    """Return a line each when people stand in one batch twice or in an epoch once more than they have photos for."""
    notices = []
    crowded = sum(count > batches for count in groups)
    if crowded:
        notices.append(
            f"{crowded} of {len(groups)} people {'has' if crowded == 1 else 'have'} more clean photos than an epoch "
            f"has batches ({batches}): they stand up to {-(-max(groups) // batches)} times in one batch"
        )
    stand_ins = sum(groups) - sum(leads)
    if stand_ins:
        what = counted(stand_ins, "group per epoch is a stand-in", "groups per epoch are stand-ins")
        notices.append(f"{what}, so that every batch holds two people")
    return notices
