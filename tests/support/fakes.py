"""Small stand-ins that several tests share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from metricface.contracts import InputSpec, Item
from metricface.errors import DataError
from metricface.model.preprocessing import Preprocessing

SPEC = InputSpec((0.5, 0.5, 0.5), (0.25, 0.25, 0.25), 8)
PREPROCESSING = Preprocessing(image_size=SPEC.image_size, mean=SPEC.mean, std=SPEC.std)


class MemoryDataset:
    """`people` x `photos` random photos of 8 x 8; numbers in `broken` cannot be read."""

    notices: tuple[str, ...] = ()

    def __init__(self, people: int = 4, photos: int = 6, broken: tuple[int, ...] = ()) -> None:
        self.items = [
            Item(Path(f"p{person}/{photo}.png"), person, source=f"p{person}/{photo}", identity=f"p{person}")
            for person in range(people)
            for photo in range(photos)
        ]
        self.label_names = tuple(f"p{person}" for person in range(people))
        self.broken = broken
        self.reads = 0
        rng = np.random.default_rng(0)
        self.images = rng.integers(0, 256, (len(self.items), 8, 8, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.items)

    def read(self, index: int) -> np.ndarray:
        self.reads += 1
        if index in self.broken:
            raise DataError(f"{self.items[index].path}: not a photo")
        return self.images[index]


class InOrder:
    """A sampler: the dataset in order, turned by the epoch."""

    def __init__(self, items: int, batch_size: int) -> None:
        self.items, self.batch_size = items, batch_size

    def __len__(self) -> int:
        return math.ceil(self.items / self.batch_size)

    def batches(self, epoch: int) -> Iterator[list[int]]:
        order = [(index + epoch) % self.items for index in range(self.items)]
        for start in range(0, self.items, self.batch_size):
            yield order[start : start + self.batch_size]


class TinyBackbone(nn.Module):
    """Mean colour to five features, with dropout so that the random state matters."""

    feature_dim = 5
    input_spec = SPEC

    def __init__(self, *, dropout: float = 0.2) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 5), nn.Dropout(dropout))

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.layers(images.mean(dim=(2, 3)))
        return features


class StagedBackbone(nn.Module):
    """A stem and two stages, each a convolution and a batch normalisation; dropout in the stem too."""

    feature_dim = 6
    input_spec = SPEC

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2))
        self.middle = nn.Sequential(nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5), nn.ReLU())
        self.top = nn.Sequential(nn.Conv2d(5, 6, 3), nn.BatchNorm2d(6))

    def parameter_stages(self) -> list[list[str]]:
        return [[name for name, _ in getattr(self, part).named_parameters(part)] for part in ("stem", "middle", "top")]

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.top(self.middle(self.stem(images))).mean(dim=(2, 3))
        return features


def same_tensors(ours: nn.Module, theirs: nn.Module) -> bool:
    """Whether two modules hold equal parameters and buffers, to the bit."""
    return all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True))
