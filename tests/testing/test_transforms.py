"""Every check of a transform finds the flaw that it is for, and nothing in a good transform."""

from __future__ import annotations

import numpy as np
import pytest
from support.flaws import GENERAL, Flaws, assert_found, assert_good, exempt, own_checks

from metricface.contracts import View
from metricface.testing import check_transform, examine


class Dim:
    """A photo that is darker every other time.

    Args:
        scale: factor on the grey values.
    """

    makes = ("dark",)

    def __init__(self, *, scale: float = 0.5) -> None:
        self.scale = scale

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        if rng.random() < 0.5:
            return view
        return View((view.image * self.scale).astype(np.uint8), *self.condition(view))

    def condition(self, view: View) -> tuple[str, int]:
        return ("dark", 1) if view.condition == "clean" else (view.condition, view.severity)


def flawed(**members: object) -> type:
    return type("Flawed", (Dim,), {"__doc__": Dim.__doc__, **members})


def changed(change: object) -> type:
    """A transform whose views are changed: (self, view before, view after, rng) -> view."""
    return flawed(__call__=lambda self, view, rng: change(self, view, Dim.__call__(self, view, rng), rng))


class Positional(Dim):
    """A parameter by position."""

    def __init__(self, scale: float = 0.5) -> None: ...


class BadDefault(Dim):
    """A default of another type."""

    def __init__(self, *, scale: float = "half") -> None: ...


class Unmakeable(Dim):
    """Cannot be made."""

    def __init__(self) -> None:
        raise ValueError("no licence")


def remembering(self: Dim, before: View, after: View, rng: np.random.Generator) -> View:
    self.calls = getattr(self, "calls", 0) + 1
    return View(np.maximum(after.image, self.calls % 100).astype(np.uint8), after.condition, after.severity)


def drawing(self: Dim, before: View, after: View, rng: np.random.Generator) -> View:
    np.random.rand(1)
    return after


def editing(self: Dim, before: View, after: View, rng: np.random.Generator) -> View:
    before.image[0] = 0
    return after


FLAWS: Flaws = {
    "contract": (Positional, "parameter 'scale' is not keyword-only"),
    "arguments": (BadDefault, "the default of 'scale' is refused"),
    "docstring": (flawed(__doc__="Darker photos."), "no 'scale' under Args"),
    "units": (flawed(__doc__=Dim.__doc__.replace("factor on", "how dark are")), "'scale' does not say whether"),
    "exemptions": (exempt(Dim, input="why not"), "no check 'input'. Did you mean \"inputs\"?"),
    "made": (Unmakeable, "ValueError: no licence"),
    "photo": (changed(lambda self, b, a, r: View(a.image / 255)), "gives float64 (112, 112, 3)"),
    "conditions": (flawed(makes=()), "'clean' of severity 0, seed 0: gives 'dark' of severity 1; it makes none"),
    "determinism": (changed(remembering), "another photo from a generator of the same seed"),
    "random state": (changed(drawing), "the global generator of numpy.random is in another state afterwards"),
    "inputs": (changed(editing), "the photo is edited in place"),
}


def test_a_good_transform_passes_every_check() -> None:
    assert_good("transform", Dim)
    check_transform(Dim, scale=0.8)


@pytest.mark.parametrize("check", FLAWS)
def test_every_check_finds_its_flaw(check: str) -> None:
    assert_found("transform", check, FLAWS)


def test_no_check_is_without_a_flaw() -> None:
    assert set(FLAWS) == GENERAL | own_checks("transform")


@pytest.mark.parametrize(
    ("change", "check", "said"),
    [
        (lambda self, b, a, r: a.image, "photo", "gives a ndarray, no View"),
        (lambda self, b, a, r: View(a.image[:50]), "photo", "gives uint8 (50, 112, 3)"),
        (lambda self, b, a, r: View(a.image, "clean"), "conditions", "'rainy' of severity 2, seed 0: gives 'clean'"),
        (lambda self, b, a, r: View(a.image, "dark", 9), "conditions", "gives 'dark' of severity 9; it makes dark"),
    ],
)
def test_what_else_a_check_finds(change: object, check: str, said: str) -> None:
    found = {it.name: it.said for it in examine("transform", changed(change)).failed}
    assert said in found[check]
