"""A sampler for MetricFace: sharp photos of a person more often than blurred ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import cv2
import numpy as np
import numpy.typing as npt
from annotated_types import Ge

from metricface.components.samplers._refusals import check_photos
from metricface.contracts import Dataset

if TYPE_CHECKING:
    from metricface.contracts import Image

_ROUNDING = 20 / 12  # variance that rounding grey values puts into their Laplacian: 1 / 12 each, factors 4, -1 x 4


class QualitySampler:
    """Every class as often as it has photos, and within it photos in proportion to their sharpness.

    So a person whose photos are all blurred is seen as often as ever, and a sharp photo of a person more often than a
    blurred one. A class of n photos has n draws per epoch, and a photo of weight w expects w / (mean weight of the
    class) of them. It gets that number rounded up or down, by chance, so that the mean over epochs is the number.

    Sharpness is the variance of the Laplacian of the grey photo, smoothed a little, so that noise does not pass for
    detail (some of it still does). Every photo of the dataset is read once for it, when the sampler is made.

    Args:
        dataset: the photos.
        labels: (N,) class of every photo.
        batch_size: most photos of a batch.
        seed: of the draws and their order, 0 or above.
        rank, world_size: of this process; the epoch's draws, in random order, are dealt to the processes in turn.
        power: weight = sharpness ** power. 0 draws every photo once per epoch; the larger, the more the sharpest count.

    Attributes:
        notices: how often photos are drawn.

    Raises:
        DataError: there are no photos.

    Source:
        Variance of the Laplacian: Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.
        The draws are systematic sampling (Madow 1949), which rounds within one of the expected number.
    """

    def __init__(
        self,
        *,
        dataset: Dataset,
        labels: npt.NDArray[np.int64],
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        power: Annotated[float, Ge(0)] = 1.0,
    ) -> None:
        check_photos("quality", len(labels))
        self._seed, self._rank, self._world_size = seed, rank, world_size
        weights = np.array([sharpness(dataset.read(index)) for index in range(len(labels))]) ** power
        _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
        expected = weights / (np.bincount(classes, weights) / counts)[classes]
        self._photos = np.split(np.argsort(classes, kind="stable"), np.cumsum(counts)[:-1])  # of each class
        self._expected = [expected[photos] for photos in self._photos]
        self._per_rank = math.ceil(len(labels) / world_size)
        self._num_batches = math.ceil(self._per_rank / batch_size)
        rarest, median, most = np.quantile(expected, (0, 0.5, 1))
        shares = f"{rarest:.2f} to {most:.2f} times per epoch by their sharpness (median {median:.2f})"
        self.notices: Sequence[str] = (f"sampler quality: photos are drawn {shares}",)

    def __len__(self) -> int:
        return self._num_batches

    def batches(self, epoch: int) -> Iterator[list[int]]:
        """Yield this process's batches of dataset indices for an epoch (0-based)."""
        rng = np.random.default_rng((self._seed, epoch))
        draws = [drawn(expected, rng) for expected in self._expected]
        epoch_photos = np.concatenate([np.repeat(*of_class) for of_class in zip(self._photos, draws, strict=True)])
        order = rng.permutation(epoch_photos)
        own = np.resize(order, self._per_rank * self._world_size)[self._rank :: self._world_size]  # wraps around
        for batch in np.array_split(own, self._num_batches):
            yield batch.tolist()


def sharpness(image: Image) -> float:
    """Return the variance of the Laplacian of a photo, uint8 (H, W, 3), in squared grey values; never 0."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var()) + _ROUNDING


def drawn(expected: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return how often each photo of a class is drawn, (n,): `expected` (n,), of sum n, rounded so as to keep the sum.

    Photos own stretches of a line as long as the class has draws, in random order; whole numbers from a random start
    fall into them.
    """
    order = rng.permutation(len(expected))
    ends = np.cumsum(expected[order])
    ends *= len(expected) / ends[-1]  # exact, so that no rounding loses a draw
    edges = np.floor(np.concatenate([[0.0], ends]) + rng.random())
    counts = np.empty(len(expected), np.int64)
    counts[order] = np.diff(edges)
    return counts
