"""Photos made of numbers: faces as children draw them, on backgrounds with the falling spectrum of photos."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from metricface.contracts import Image

COUNT = 20  # photos that a figure is taken over


def portrait(number: int, height: int = 112, width: int = 112) -> Image:
    """Return photo `number`, uint8 (H, W, 3): light from a side, a face, eyes and a mouth, another one each."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    image = np.full((height, width, 3), rng.uniform(90, 150, 3))
    for waves in (1, 2, 4, 8, 16):  # half as strong at twice the frequency
        direction, phase = rng.uniform(0, 2 * np.pi, (2, 3))
        along = np.cos(direction) * x[..., None] + np.sin(direction) * y[..., None]  # (H, W, 3)
        image += 40 / waves * np.sin(waves * np.pi * along + phase)
    skin, dark, lips = rng.uniform(110, 230, 3), rng.uniform(10, 60, 3), np.array([150.0, 50.0, 60.0])
    image = _paint(image, _disc(x, y, 0, 0.05, 0.55, 0.75), skin * (0.85 + 0.15 * x[..., None]))
    for side in (-1, 1):
        image = _paint(image, _disc(x, y, 0.22 * side, -0.15, 0.09, 0.06), dark)
    image = _paint(image, _disc(x, y, 0, 0.45, 0.2, 0.06), lips)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def portraits(height: int = 112, width: int = 112) -> list[Image]:
    """Return COUNT photos."""
    return [portrait(number, height, width) for number in range(COUNT)]


def _disc(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], *shape: float) -> npt.NDArray[np.float64]:
    """Return how much of each pixel (H, W, 1) lies in an ellipse, given as centre x, y and half axes."""
    across, down, half_width, half_height = shape
    radius = np.hypot((x - across) / half_width, (y - down) / half_height)
    soft: npt.NDArray[np.float64] = np.clip(10 * (1.05 - radius), 0, 1)[..., None]
    return soft


def _paint(
    image: npt.NDArray[np.float64], cover: npt.NDArray[np.float64], colour: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    return (1 - cover) * image + cover * colour


def psnr(photo: Image, clean: Image) -> float:
    """Return the peak signal-to-noise ratio in dB, 100 for equal photos."""
    error = float(((photo.astype(np.float64) - clean) ** 2).mean())
    return min(100.0, 10 * float(np.log10(255**2 / max(error, 1e-10))))
