"""A tiny Task A tree of drawn "faces" in two classes, and a recipe for it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

RECIPE = """\
[run]
name = "tiny-a"

[data]
name = "class-folder"
root = "{root}"
image_size = 32
crop = 0.8
classes = ["male", "female"]

[backbone]
name = "timm"
model = "test_resnet"
weights = "random"

[head]
name = "linear"
binary = true

[[loss]]
name = "bce"

[sampler]
name = "shuffled"

[optimizer]
name = "adamw"
lr = 3e-3

[train]
epochs = 3
batch_size = 8
device = "cpu"

[[evaluate]]
name = "classification"
bootstrap_samples = 50
"""


def photo(female: bool, number: int) -> np.ndarray:
    """Return uint8 (40, 40, 3), darker for one class, with noise that makes some photos hard to tell."""
    rng = np.random.default_rng((female, number))
    image = rng.normal(150 - 50 * female, 30, (5, 5, 3)) + rng.normal(0, 25)
    return cv2.resize(np.clip(image, 0, 255).astype(np.uint8), (40, 40), interpolation=cv2.INTER_CUBIC)


def make_tree(root: Path, train: int = 24, val: int = 20) -> Path:
    """Write root/{train,val}/{male,female}/*.png, train five to one and val half and half; return the root."""
    for split, count in (("train", train), ("val", val)):
        for name in ("male", "female"):
            folder = root / split / name
            folder.mkdir(parents=True)
            few = split == "train" and name == "female"
            for number in range(count // 5 if few else count):
                image = photo(name == "female", number + 1000 * (split == "val"))
                cv2.imwrite(str(folder / f"{number:03}.png"), image)
    return root


def write_recipe(folder: Path, root: Path, text: str = RECIPE) -> Path:
    """Write the recipe for the tree; return its path."""
    path = folder / "tiny_a.toml"
    path.write_text(text.format(root=root.as_posix()))
    return path
