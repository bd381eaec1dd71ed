"""Every check of a distortion finds the flaw that it is for, and nothing in a good distortion."""

from __future__ import annotations

import numpy as np
import pytest
from support.flaws import GENERAL, Flaws, assert_found, assert_good, exempt, own_checks

from metricface.errors import DataError
from metricface.testing import check_distortion, examine
from metricface.testing.photos import portrait, portraits, psnr


class Grain:
    """Noise of one strength for each severity.

    Args:
        sigma: standard deviation of severity 1, of 255.
    """

    def __init__(self, *, sigma: float = 8.0) -> None:
        self.sigma = sigma

    def __call__(self, image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
        if severity not in (1, 2, 3, 4, 5):
            raise DataError(f"severity: must be 1 to 5 (got {severity})")
        return np.clip(image + rng.normal(0, self.sigma * severity, image.shape), 0, 255).astype(np.uint8)


def flawed(call: object = Grain.__call__, **members: object) -> type:
    return type("Flawed", (Grain,), {"__doc__": Grain.__doc__, "__call__": call, **members})


class Positional(Grain):
    """A parameter by position."""

    def __init__(self, sigma: float = 8.0) -> None: ...


class BadDefault(Grain):
    """A default of another type."""

    def __init__(self, *, sigma: float = "strong") -> None: ...


class Unmakeable(Grain):
    """Cannot be made."""

    def __init__(self) -> None:
        raise ValueError("no licence")


class Remembering(Grain):
    """A strength that grows with every call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __call__(self, image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
        self.calls += 1
        return super().__call__(image, severity, rng) // np.uint8(1 + self.calls % 3)


def as_float(self: Grain, image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    return Grain.__call__(self, image, severity, rng) / 255


def stretched(self: Grain, image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    noisy = Grain.__call__(self, image, severity, rng)
    return (noisy - noisy.min()) // (image.max() - image.min() if image.max() > image.min() else 1 // 0)


def of_one_strength(self: Grain, image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    return Grain.__call__(self, image, min(severity, 3), rng)


def of_any_severity(self: Grain, image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    return Grain.__call__(self, image, min(max(severity, 1), 5), rng)


def drawing(self: Grain, image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    np.random.seed(3)
    return Grain.__call__(self, image, severity, rng)


def editing(self: Grain, image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    image[0] = 0
    return Grain.__call__(self, image, severity, rng)


FLAWS: Flaws = {
    "contract": (Positional, "parameter 'sigma' is not keyword-only"),
    "arguments": (BadDefault, "the default of 'sigma' is refused"),
    "docstring": (flawed(__doc__="Noise of strengths."), "no 'sigma' under Args"),
    "units": (flawed(__doc__=Grain.__doc__.replace(", of 255", "")), "'sigma' does not say whether it is pixel"),
    "exemptions": (exempt(Grain, severities="why not"), "no check 'severities'. Did you mean \"severity\"?"),
    "made": (Unmakeable, "ValueError: no licence"),
    "photo": (flawed(as_float), "uint8 (16, 16, 3), severity 1: gives float64 (16, 16, 3)"),
    "flat photo": (flawed(stretched), "ZeroDivisionError"),
    "determinism": (Remembering, "uint8 (40, 32, 3), severity 1: another photo from a generator of the same seed"),
    "severity": (flawed(of_one_strength), "20 photos (112, 112, 3): mean PSNR "),
    "severity out of range": (flawed(of_any_severity), "uint8 (16, 16, 3), severity 0: is not refused"),
    "random state": (flawed(drawing), "the global generator of numpy.random is in another state afterwards"),
    "inputs": (flawed(editing), "uint8 (16, 16, 3), severity 1: the photo is edited in place"),
}


def test_a_good_distortion_passes_every_check() -> None:
    assert_good("distortion", Grain)
    check_distortion(Grain, sigma=4.0)


@pytest.mark.parametrize("check", FLAWS)
def test_every_check_finds_its_flaw(check: str) -> None:
    assert_found("distortion", check, FLAWS)


def test_no_check_is_without_a_flaw() -> None:
    assert set(FLAWS) == GENERAL | own_checks("distortion")


def test_a_severity_that_nobody_sees_is_found() -> None:
    (found,) = examine("distortion", Grain, {"sigma": 0.01}).failed
    assert found.name == "severity"
    (found,) = examine("distortion", flawed(lambda self, image, severity, rng: _all_but_one(image, severity))).failed
    assert "severity 1 changes next to nothing" in found.said


def _all_but_one(image: np.ndarray, severity: int) -> np.ndarray:
    """The photo itself at severity 1, and darker ones at all others."""
    if severity not in (1, 2, 3, 4, 5):
        raise DataError(f"severity: must be 1 to 5 (got {severity})")
    return image // np.uint8(severity)


def test_the_photos_are_photos_each_another_one() -> None:
    photos = portraits(40, 32)
    assert len({photo.tobytes() for photo in photos}) == len(photos) == 20
    assert all(photo.shape == (40, 32, 3) and photo.dtype == np.uint8 for photo in photos)
    assert all(40 < photo.mean() < 215 and photo.std() > 15 for photo in photos)  # no flat or burnt-out one
    assert np.array_equal(portrait(3), portrait(3))


def test_psnr() -> None:
    image = np.full((8, 8, 3), 100, np.uint8)
    assert psnr(image, image) == 100
    assert psnr(image + np.uint8(10), image) == pytest.approx(20 * np.log10(255 / 10))
