"""What passes between the parts: photos, batches, outputs of heads, embeddings.

Shape letters used everywhere: B batch, C classes, D embedding dim, N items, P pairs, Q probes, G gallery,
K neighbours, H and W height and width of a photo.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor

    from metricface.contracts.arrays import FloatArray, Image, IntArray, TextArray

CLEAN = "clean"
ROLE, GALLERY, PROBE = "role", "gallery", "probe"  # of a photo, in Item.attributes; none is given by most datasets


@dataclass(frozen=True, slots=True)
class Item:
    """What a dataset knows of one photo without opening it.

    Args:
        path: the file, for messages and reports.
        label: dense index into the dataset's `label_names`.
        condition: "clean" or the name of a distortion that the file already shows.
        severity: 1-5 when known, 0 for clean or unknown.
        source: a key of the clean photo that this one shows (its own key when it is clean), "" when unknown.
        identity: the person, when known; people must not stand in two splits.
        attributes: anything else, for instance {ROLE: GALLERY}.
    """

    path: Path
    label: int
    condition: str = CLEAN
    severity: int = 0
    source: str = ""
    identity: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class View:
    """A photo on its way through the transforms: `image` uint8 (H, W, 3) RGB and the condition that it shows."""

    image: Image
    condition: str = CLEAN
    severity: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """One training batch on one process.

    Args:
        images: (B, 3, H, W) float32, normalised with the backbone's mean and std.
        labels: (B,) int64.
        conditions: (B,) int64 index into the loader's `condition_names`; 0 is clean. Says what the transforms did.
        indices: (B,) int64 index into the dataset.
    """

    images: Tensor
    labels: Tensor
    conditions: Tensor
    indices: Tensor

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory (called by torch's DataLoader)."""
        return Batch(
            self.images.pin_memory(), self.labels.pin_memory(), self.conditions.pin_memory(), self.indices.pin_memory()
        )

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`, images in channels-last order there."""
        import torch

        return Batch(
            self.images.to(device, non_blocking=True, memory_format=torch.channels_last),
            self.labels.to(device, non_blocking=True),
            self.conditions.to(device, non_blocking=True),
            self.indices.to(device, non_blocking=True),
        )


@dataclass(frozen=True, slots=True)
class HeadOutput:
    """What a head makes of embeddings.

    Args:
        logits: (B, C') float32, scaled. C' is 1 for a binary head and may be a part of the classes for a sampled head.
        targets: (B,) int64, the column of each row's class; None when the head was called without labels.
        penalty: scalar added to the loss (MagFace), or None.
    """

    logits: Tensor
    targets: Tensor | None = None
    penalty: Tensor | None = None


@dataclass(frozen=True, slots=True)
class LossInput:
    """What every loss gets.

    Args:
        embeddings: (B, D) float32, not normalised.
        labels: (B,) int64.
        logits: (B, C') float32 of the head, or None without one.
        targets: (B,) int64 of the head, or None without one.
        pairs: a miner's choice as index tensors, in pytorch-metric-learning's order: (anchor, positive, anchor,
            negative) for pairs or (anchor, positive, negative) for triplets; None means all of them.
        conditions: (B,) int64 condition of each photo as the network saw it, 0 is clean (see Batch).
        indices: (B,) int64 index of each photo in the train split.

    With several processes B counts the photos of all of them, in every field. Training always gives conditions and
    indices; only a LossInput made by hand may leave them None.
    """

    embeddings: Tensor
    labels: Tensor
    logits: Tensor | None = None
    targets: Tensor | None = None
    pairs: tuple[Tensor, ...] | None = None
    conditions: Tensor | None = None
    indices: Tensor | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingSet:
    """Embeddings of N photos with all that evaluators know of them (numpy).

    Args:
        vectors: (N, D) float32, unit length.
        norms: (N,) float32, the lengths before normalisation.
        labels: (N,) int64 index into `label_names`.
        conditions: (N,) int64 index into `condition_names`; 0 is clean.
        severities: (N,) int64, 0 for clean or unknown.
        sources: (N,) str, the key of the clean photo that each shows, "" when unknown.
        paths: (N,) str.
        label_names, condition_names: the names behind the indices.
        attributes: name -> (N,) str.
    """

    vectors: FloatArray
    norms: FloatArray
    labels: IntArray
    conditions: IntArray
    severities: IntArray
    sources: TextArray
    paths: TextArray
    label_names: tuple[str, ...]
    condition_names: tuple[str, ...]
    attributes: Mapping[str, TextArray] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Predictions:
    """Logits of N photos: `logits` (N, C') float32, `labels` (N,) int64, and the names of the classes."""

    logits: FloatArray
    labels: IntArray
    label_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a backbone wants to see: RGB mean and std in [0, 1] and its usual side length in pixels."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    image_size: int
