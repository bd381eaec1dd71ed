"""A subject is embedded once, whoever asks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from metricface.contracts import InputSpec, Item
from metricface.contracts.results import OperatingPoint
from metricface.evaluation.subject import ModelSubject


class Photos:
    items = tuple(Item(Path(f"{number}.png"), number % 2) for number in range(4))
    label_names = ("no", "yes")
    notices = ()

    def __len__(self) -> int:
        return len(self.items)

    def read(self, index: int) -> np.ndarray:
        return np.full((8, 8, 3), 40 * index + 1, np.uint8)


class Counted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        return images.flatten(1)


def test_every_evaluator_gets_its_own_operating_points_and_the_same_embeddings() -> None:
    model, photos = Counted(), Photos()
    subject = ModelSubject(model, photos, InputSpec((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 8), device=torch.device("cpu"))
    points = [OperatingPoint(0.9, "rule", "val")]
    offered = subject.offering(points)
    assert (subject.operating_points, offered.operating_points) == ((), points)
    vectors = [one.embed(photos).vectors for one in (offered, subject, subject.offering([]))]
    assert model.calls == 1
    assert all(np.array_equal(vectors[0], other) for other in vectors)
