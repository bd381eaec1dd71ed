"""A tiny Task B tree of drawn "people": a pattern of their own each, shifted and lit differently in every photo."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

CONDITIONS = ("blurred", "noisy")

RECIPE = """\
[run]
name = "tiny"

[data]
name = "identity-folder"
root = "{root}"
image_size = 32

[[transform]]
name = "horizontal-flip"

[backbone]
name = "timm"
model = "test_resnet"
weights = "random"

[embedding]
dim = 16

[head]
name = "arcface"
scale = 16.0
margin = 0.2

[[loss]]
name = "cross-entropy"

[[loss]]
name = "contrastive"
weight = 0.5

[sampler]
name = "cross-condition"
views = 4

[optimizer]
name = "adamw"
lr = 1e-3

[schedule]
name = "cosine"

[train]
epochs = 2
batch_size = 16
device = "cpu"

[[evaluate]]
name = "identification"
bootstrap_samples = 50
"""


def photo(person: int, number: int, condition: str = "clean") -> np.ndarray:
    """Return uint8 (40, 40, 3)."""
    pattern = np.random.default_rng(person).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    image = cv2.resize(pattern, (40, 40), interpolation=cv2.INTER_CUBIC)
    image = np.roll(image, number, axis=(0, 1))
    if condition == "blurred":
        image = cv2.GaussianBlur(image, (0, 0), 3)
    if condition == "noisy":
        noise = np.random.default_rng(number).normal(0, 20, image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


def make_tree(root: Path, train: int = 5, val: int = 3, photos: int = 3) -> Path:
    """Write root/{train,val}/<person>/*.png with distortion/ folders; return the root."""
    for person in range(train + val):
        folder = root / ("train" if person < train else "val") / f"person_{person}"
        (folder / "distortion").mkdir(parents=True)
        for number in range(photos):
            cv2.imwrite(str(folder / f"photo_{number}.png"), photo(person, number))
            for condition in CONDITIONS:
                path = folder / "distortion" / f"photo_{number}_{condition}.png"
                cv2.imwrite(str(path), photo(person, number, condition))
    return root


def write_recipe(folder: Path, root: Path, text: str = RECIPE) -> Path:
    """Write the recipe for the tree; return its path."""
    path = folder / "tiny.toml"
    path.write_text(text.format(root=root.as_posix()))
    return path
