"""Train and evaluate a network of one's own, without a recipe.

    metricface data demo
    python examples/own_model.py data/task_b --epochs 3

Any module from photos (B, 3, S, S) to embeddings (B, D) will do. Everything else is a part that recipes name as well,
and each can be another one: yours, or none.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from metricface.components.datasets.identity_folder import IdentityFolder
from metricface.components.evaluators.identification import Identification
from metricface.components.heads.arcface import ArcFace
from metricface.components.losses.cross_entropy import CrossEntropy
from metricface.components.samplers.identity_balanced import IdentityBalanced
from metricface.components.transforms.horizontal_flip import HorizontalFlip
from metricface.contracts import Result
from metricface.data.loader import TrainLoader
from metricface.data.photos import Photos
from metricface.evaluation.subject import ModelSubject
from metricface.model.preprocessing import Preprocessing
from metricface.training.parameters import parameter_groups
from metricface.training.state import LossTerm, TrainingState
from metricface.training.step import train_step

PREPROCESSING = Preprocessing(image_size=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
CACHE = 2**30  # bytes of memory for decoded photos
DIM = 64


class OwnNetwork(nn.Module):
    """Four convolutions and a linear layer: photos (B, 3, 64, 64) -> embeddings (B, 64)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 64, 64)
        blocks = [
            nn.Sequential(
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
            )
            for before, after in pairwise(widths)
        ]
        self.layers = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(64 * 4 * 4, DIM), nn.BatchNorm1d(DIM))

    def forward(self, images: Tensor) -> Tensor:
        """Embed photos, (B, 3, 64, 64) float32 -> (B, 64)."""
        embeddings: Tensor = self.layers(images)
        return embeddings


def train(model: nn.Module, photos: Photos, *, epochs: int, seed: int = 0) -> TrainingState:
    """Train a module with ArcFace on batches of 8 people x 4 photos; return the state at the end.

    Args:
        model: (B, 3, S, S) -> (B, 64).
        photos: the train split.
        epochs: passes over the photos.
        seed: of the order and of augmentation.
    """
    labels = np.array([item.label for item in photos.items])
    head = ArcFace(embedding_dim=DIM, num_classes=len(photos.label_names), scale=16.0, margin=0.2)  # radians
    optimizer = torch.optim.AdamW(parameter_groups(model, head), lr=1e-3, weight_decay=0.05)
    state = TrainingState(model, (LossTerm("cross-entropy", CrossEntropy()),), optimizer, head=head)
    sampler = IdentityBalanced(labels=labels, batch_size=32, seed=seed)
    loader = TrainLoader(photos, sampler, [HorizontalFlip()], PREPROCESSING, batch_size=32, seed=seed)
    for epoch in range(epochs):
        model.train()
        losses = [train_step(state, batch).losses["cross-entropy"] for batch in loader.epoch(epoch)]
        print(f"epoch {epoch + 1}: cross-entropy {np.mean(losses):.3f}")
    return state


def evaluate(model: nn.Module, photos: Photos) -> Result:
    """Identify the people of a split, whom the model has never seen."""
    return Identification()(ModelSubject(model, photos, PREPROCESSING))


def main() -> None:
    """Read the photos, train, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, nargs="?", default=Path("data/task_b"))
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    torch.manual_seed(0)
    splits = {
        split: Photos(IdentityFolder(root=options.root, split=split), PREPROCESSING, CACHE)
        for split in ("train", "val")
    }
    model = OwnNetwork()
    train(model, splits["train"], epochs=options.epochs)
    result = evaluate(model, splits["val"])
    for name, rank1 in result.figures().items():
        if name.endswith(".rank1"):
            print(f"{name.removesuffix('.rank1')}: rank-1 {100 * rank1.value:.1f} % of {rank1.n} probes")
    for refusal in result.refusals:
        if refusal.figure.endswith(".rank1"):
            print(f"not given: {refusal.figure}, because {refusal.reason}")


if __name__ == "__main__":
    main()
