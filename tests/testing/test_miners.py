"""Every check of a miner finds the flaw that it is for, and nothing in a good miner."""

from __future__ import annotations

import pytest
import torch
from support.flaws import GENERAL, Flaws, assert_found, assert_good, exempt, own_checks
from torch import Tensor

from metricface.testing import check_miner, examine


class Neighbours:
    """Every pair of one class, with the photo of another class after the anchor.

    Args:
        most: triplets, by count.
    """

    def __init__(self, *, most: int = 1000) -> None:
        self.most = most

    def __call__(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        same = labels[:, None] == labels[None]
        positives = (same & ~torch.eye(len(labels), dtype=torch.bool)).nonzero()
        found = [(a, p, (~same[a]).nonzero()) for a, p in positives.tolist()]
        rows = [(a, p, int(others[0])) for a, p, others in found if len(others)][: self.most]
        return tuple(torch.tensor(rows, dtype=torch.int64).reshape(-1, 3).T)


def flawed(**members: object) -> type:
    return type("Flawed", (Neighbours,), {"__doc__": Neighbours.__doc__, **members})


def mined(change: object) -> type:
    """A miner whose choice is changed: (mined, embeddings, labels) -> mined."""

    def call(self: Neighbours, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        return change(Neighbours.__call__(self, embeddings, labels), embeddings, labels)

    return flawed(__call__=call)


class Positional(Neighbours):
    """A parameter by position."""

    def __init__(self, most: int = 3) -> None: ...


class BadDefault(Neighbours):
    """A default of another type."""

    def __init__(self, *, most: int = "all") -> None: ...


class Width(Neighbours):
    """A number without its unit.

    Args:
        margin: the m of the paper.
    """

    def __init__(self, *, margin: float = 0.2) -> None: ...


class Unmakeable(Neighbours):
    """Cannot be made."""

    def __init__(self) -> None:
        raise ValueError("no licence")


def doubling(found: tuple[Tensor, ...], embeddings: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
    embeddings.data.mul_(2)
    return found


def clamping(found: tuple[Tensor, ...], embeddings: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
    labels.data.clamp_(max=1)
    return found


FLAWS: Flaws = {
    "contract": (Positional, "parameter 'most' is not keyword-only"),
    "arguments": (BadDefault, "the default of 'most' is refused"),
    "docstring": (flawed(__doc__="Pairs of photos."), "no 'most' under Args"),
    "units": (Width, "'margin' does not say whether"),
    "exemptions": (exempt(Neighbours, input="why not"), "no check 'input'. Did you mean \"inputs\"?"),
    "made": (Unmakeable, "ValueError: no licence"),
    "indices": (mined(lambda found, e, t: found[:2]), "gives 2 parts, no tuple of three or four"),
    "classes": (mined(lambda found, e, t: (found[0], found[0], found[2])), "as anchor and positive"),
    "inputs": (mined(doubling), "embeddings is edited in place (at [0, 0] "),
}


def test_a_good_miner_passes_every_check() -> None:
    assert_good("miner", Neighbours)
    check_miner(Neighbours, most=3)


@pytest.mark.parametrize("check", FLAWS)
def test_every_check_finds_its_flaw(check: str) -> None:
    assert_found("miner", check, FLAWS)


def test_no_check_is_without_a_flaw() -> None:
    assert set(FLAWS) == GENERAL | own_checks("miner")


@pytest.mark.parametrize(
    ("change", "check", "said"),
    [
        (lambda found, e, t: list(found), "indices", "gives a list, no tuple of three or four"),
        (lambda found, e, t: tuple(part.int() for part in found), "indices", "gives torch.int32 ("),
        (lambda found, e, t: tuple(part[:, None] for part in found), "indices", "not int64 (P,)"),
        (lambda found, e, t: tuple(part + 9 for part in found), "indices", "gives the indices 9 to 12"),
        (lambda found, e, t: (found[0][:1], *found[1:]), "indices", "] indices"),
        (lambda found, e, t: (found[0], found[2], found[2]), "classes", "as anchor and positive"),
        (lambda found, e, t: (found[0], found[1], found[1]), "classes", "as anchor and negative"),
        (clamping, "inputs", "labels is edited in place (at [4] 2 became 1)"),
    ],
)
def test_what_else_a_check_finds(change: object, check: str, said: str) -> None:
    found = {it.name: it.said for it in examine("miner", mined(change)).failed}
    assert said in found[check]


def test_pairs_are_as_good_as_triplets() -> None:
    component = mined(lambda found, e, t: (found[0], found[1], found[0][:1], found[2][:1]))
    check_miner(component)
    wrong = mined(lambda found, e, t: (found[0], found[1], found[0][:1], found[1][:1]))
    found = {it.name: it.said for it in examine("miner", wrong).failed}
    assert "as anchor and negative" in found["classes"]
