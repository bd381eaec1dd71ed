"""How a photo becomes what a model is given: the same in training, evaluation and use, and stored in model.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
import torch

from metricface.errors import DataError, ModelError
from metricface.model.views import middle

if TYPE_CHECKING:
    from torch import Tensor

    from metricface.contracts import Image

Colour = Literal["RGB"]
Interpolation = Literal["area"]

LARGEST_SIZE = 2048  # pixels a side; the largest published models take 1,280
LARGEST_NUMBER = 1000.0  # of a mean or a deviation, either way, so that no photo becomes infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """Crop, size and normalisation of photos: one value that a model is trained with and keeps.

    Args:
        image_size: S, side length of the square in pixels.
        mean, std: of each channel, in [0, 1], in the order of `colour`.
        crop: central share of each side that is kept before resizing, in (0, 1].
        colour: the order of the channels, of photos and of what comes out.
        interpolation: "area" averages along a side that shrinks and is bilinear along one that grows, see `resize`.
    """

    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop: float = 1.0
    colour: Colour = "RGB"
    interpolation: Interpolation = "area"

    def __post_init__(self) -> None:
        """Refuse what no photo could be prepared by.

        Raises:
            ModelError: names the value.
        """
        right = {
            "image_size": 1 <= self.image_size <= LARGEST_SIZE,
            "crop": 0 < self.crop <= 1,
            "mean": all(abs(number) <= LARGEST_NUMBER for number in self.mean),
            "std": all(1 / LARGEST_NUMBER <= number <= LARGEST_NUMBER for number in self.std),
            "colour": self.colour == "RGB",
            "interpolation": self.interpolation == "area",
        }
        for name, holds in right.items():
            if not holds:
                raise ModelError(
                    f"preprocessing: {name} cannot be {getattr(self, name)!r}. image_size is 1 to {LARGEST_SIZE}, crop "
                    f"above 0 and at most 1, mean at most {LARGEST_NUMBER:g} either way, std {1 / LARGEST_NUMBER:g} to "
                    f'{LARGEST_NUMBER:g}, colour "RGB", interpolation "area".'
                )

    def __call__(self, photo: Image) -> Tensor:
        """uint8 (H, W, 3) of any size -> float32 (3, S, S), as the model is given it."""
        return self.tensor([self.square(photo)])[0]

    def square(self, photo: Image) -> Image:
        """uint8 (H, W, 3) of any size -> uint8 (S, S, 3): the middle of it, resized."""
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
            raise DataError(
                f"photo: should be uint8 (H, W, 3) RGB (got {photo.dtype} {photo.shape}). "
                "metricface.data.images.read_image reads files so."
            )
        return resize(central_crop(photo, self.crop), self.image_size)

    def tensor(self, squares: Sequence[Image]) -> Tensor:
        """B times uint8 (S, S, 3) -> float32 (B, 3, S, S): (photo / 255 - mean) / std."""
        mean, std = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (self.mean, self.std))
        stacked = torch.from_numpy(np.stack(squares))
        return stacked.permute(0, 3, 1, 2).float().div_(255).sub_(mean).div_(std)


def central_crop(image: Image, share: float) -> Image:
    """Return the middle of uint8 (H, W, 3) that keeps `share`, in (0, 1], of its height and of its width."""
    height, width = image.shape[:2]
    rows, columns = middle(height, width, share)
    return image[rows, columns]


def resize(image: Image, size: int) -> Image:
    """Resize uint8 (H, W, 3) to (size, size, 3): area averages along a side that shrinks, bilinear where it grows.

    The aspect ratio is not kept: face crops of one data set share theirs, and a crop would lose part of the face.
    """
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    if min(height, width) < size < max(height, width):  # bilinear along both would skip pixels of the longer side
        shorter = (min(width, size), min(height, size))
        image = np.asarray(cv2.resize(image, shorter, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    shrinking = min(height, width) >= size
    resized = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)
