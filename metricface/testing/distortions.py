"""The checks of distortions."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from metricface.contracts import Distortion
from metricface.testing.engine import Suite, Trial, Violation, check
from metricface.testing.photos import COUNT, portrait, portraits, psnr
from metricface.testing.randomness import draws_nothing, seeded
from metricface.testing.refusals import must_refuse

if TYPE_CHECKING:
    from metricface.contracts import Image

SEVERITIES = range(1, 6)
_SIZES = ((16, 16), (40, 32), (112, 112))
_VISIBLE = 60.0  # dB; above it hardly a value differs


def prepare(trial: Trial) -> Distortion:
    """Make the distortion."""
    with seeded():
        made: Distortion = trial.make({})
    return made


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _case(image: Image, severity: int) -> str:
    return f"uint8 {image.shape}, severity {severity}"


def _distorted(distortion: Distortion, image: Image, severity: int, seed: int = 0) -> Image:
    """Return the distorted photo, which is uint8 of the same shape; the global generators have a seed of their own."""
    with seeded():
        found = distortion(image.copy(), severity, _rng(seed))
    if not isinstance(found, np.ndarray) or found.dtype != np.uint8 or found.shape != image.shape:
        shown = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
        raise Violation(f"{_case(image, severity)}: gives {shown}")
    return found


@check("photo", why="Photos are stacked to batches and written as files after it.")
def photo(distortion: Distortion) -> None:
    """A photo gives a photo: uint8, of its own shape, square or not, at every severity."""
    for size in _SIZES:
        for severity in SEVERITIES:
            _distorted(distortion, portrait(0, *size), severity)


@check("flat photo", why="Over-exposed, black and empty photos are in every data set.")
def flat_photo(distortion: Distortion) -> None:
    """Black, grey and white photos are distorted as well."""
    for value in (0, 128, 255):
        for severity in (1, 5):
            _distorted(distortion, np.full((16, 16, 3), value, np.uint8), severity)


@check("determinism", why="A resumed run must draw the photos that an uninterrupted one draws.")
def determinism(distortion: Distortion) -> None:
    """The generator that it is given decides what comes out."""
    image = portrait(0, 40, 32)
    for severity in SEVERITIES:
        first = _distorted(distortion, image, severity)
        _distorted(distortion, portrait(1), severity, seed=1)  # what it does in between leaves no trace
        if not np.array_equal(_distorted(distortion, image, severity), first):
            raise Violation(f"{_case(image, severity)}: another photo from a generator of the same seed")


@check("severity", why="Robustness is reported by severity: a curve must mean that it gets harder.")
def severity(distortion: Distortion) -> None:
    """Over 20 photos the mean PSNR falls from each severity to the next, and 1 can be seen."""
    photos = portraits()
    reached = [
        float(np.mean([psnr(_distorted(distortion, image, level, n), image) for n, image in enumerate(photos)]))
        for level in SEVERITIES
    ]
    shown = f"{COUNT} photos (112, 112, 3): mean PSNR {', '.join(f'{value:.2f}' for value in reached)} dB"
    if any(after >= before for before, after in pairwise(reached)):
        raise Violation(f"{shown} at severity 1 to 5")
    if reached[0] > _VISIBLE:
        raise Violation(f"{shown}: severity 1 changes next to nothing")


@check("severity out of range", why="A typing error in a recipe is to be told, not to be trained with.")
def severity_out_of_range(distortion: Distortion) -> None:
    """A severity below 1 or above 5 is refused by a MetricFaceError that names it."""
    image = portrait(0, 16, 16)
    for wrong in (0, 6):
        call = partial(distortion, image.copy(), wrong, _rng())
        must_refuse(call, _case(image, wrong), naming=str(wrong))


@check("random state", why="A draw from a global generator changes every draw after it, and spoils a resume.")
def random_state(distortion: Distortion) -> None:
    """It draws from the generator that it is given, and from no global one."""
    image = portrait(0, 40, 32)
    for level in SEVERITIES:
        draws_nothing(partial(distortion, image.copy(), level, _rng()), _case(image, level))


@check("inputs", why="The photo is kept in memory for the next epoch.")
def inputs(distortion: Distortion) -> None:
    """The photo that it is given is not edited."""
    for level in SEVERITIES:
        image = portrait(0, 16, 16)
        with seeded():
            distortion(image, level, _rng())
        if not np.array_equal(image, portrait(0, 16, 16)):
            raise Violation(f"{_case(image, level)}: the photo is edited in place")


SUITE = Suite(
    prepare,
    (photo, flat_photo, determinism, severity, severity_out_of_range, random_state, inputs),
)
