"""The checks of transforms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from metricface.contracts import CLEAN, MakesConditions, Transform, View
from metricface.testing import others
from metricface.testing.engine import Suite, Trial, Violation, check
from metricface.testing.photos import portrait
from metricface.testing.randomness import draws_nothing, seeded

_SEEDS = range(20)  # most transforms do nothing every other time
_GIVEN = ((CLEAN, 0), ("rainy", 2))


@dataclass(frozen=True, slots=True)
class TransformOnTrial:
    """A transform, and what it makes of a drawn face."""

    transform: Transform

    @property
    def makes(self) -> tuple[str, ...]:
        """The conditions that it says it can produce."""
        return tuple(self.transform.makes) if isinstance(self.transform, MakesConditions) else ()

    def of(self, view: View, seed: int) -> View:
        """Return the transformed view, from a generator of this seed."""
        with seeded():
            found: View = self.transform(view, np.random.default_rng(seed))
        return found


def prepare(trial: Trial) -> TransformOnTrial:
    """Make the transform."""
    with seeded():
        return TransformOnTrial(others.prepare(trial))


def _view(condition: str = CLEAN, severity: int = 0) -> View:
    return View(portrait(0, others.SIZE, others.SIZE), condition, severity)


@check("photo", why="Photos are stacked to batches after it.")
def photo(on: TransformOnTrial) -> None:
    """A view gives a view, whose image is uint8 of the same shape."""
    for seed in _SEEDS:
        view = on.of(_view(), seed)
        if not isinstance(view, View):
            raise Violation(
                f"uint8 ({others.SIZE}, {others.SIZE}, 3), seed {seed}: gives a {type(view).__name__}, no View"
            )
        image = view.image
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape != (others.SIZE, others.SIZE, 3):
            shown = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            raise Violation(f"uint8 ({others.SIZE}, {others.SIZE}, 3), seed {seed}: gives {shown}")


@check("conditions", why="Conditions are numbered before the first photo is drawn, and reports are told by them.")
def conditions(on: TransformOnTrial) -> None:
    """The condition stays, or becomes one that its `makes` names, with a severity of 1 to 5."""
    for condition, severity in _GIVEN:
        for seed in _SEEDS:
            view = on.of(_view(condition, severity), seed)
            stays = (view.condition, view.severity) == (condition, severity)
            if not stays and (view.condition not in on.makes or view.severity not in range(1, 6)):
                raise Violation(
                    f"{condition!r} of severity {severity}, seed {seed}: gives {view.condition!r} of severity "
                    f"{view.severity}; it makes {', '.join(on.makes) or 'none'}"
                )


@check("determinism", why="A resumed run must draw the photos that an uninterrupted one draws.")
def determinism(on: TransformOnTrial) -> None:
    """The generator that it is given decides what comes out."""
    for seed in _SEEDS:
        first = on.of(_view(), seed)
        on.of(_view(), seed + 1)  # what it does in between leaves no trace
        if not np.array_equal(on.of(_view(), seed).image, first.image):
            raise Violation(
                f"uint8 ({others.SIZE}, {others.SIZE}, 3), seed {seed}: another photo from a generator of the same seed"
            )


@check("random state", why="A draw from a global generator changes every draw after it, and spoils a resume.")
def random_state(on: TransformOnTrial) -> None:
    """It draws from the generator that it is given, and from no global one."""
    for seed in _SEEDS:
        call = partial(on.transform, _view(), np.random.default_rng(seed))
        draws_nothing(call, f"uint8 ({others.SIZE}, {others.SIZE}, 3), seed {seed}")


@check("inputs", why="The photo is kept in memory for the next epoch.")
def inputs(on: TransformOnTrial) -> None:
    """The photo that it is given is not edited."""
    for seed in _SEEDS:
        view = _view()
        on.of(view, seed)
        if not np.array_equal(view.image, _view().image):
            raise Violation(f"uint8 ({others.SIZE}, {others.SIZE}, 3), seed {seed}: the photo is edited in place")


SUITE = Suite(prepare, (photo, conditions, determinism, random_state, inputs))
