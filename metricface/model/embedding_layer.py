"""[embedding]: its keys, their defaults and their bounds are the signatures here, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

# By name for model.json of format 1 too, which has them one by one.
Dim = Annotated[int, Gt(0), Le(2**16)]
Zoom = Annotated[float, Ge(0.2), Le(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingLayer:
    """The layer between a backbone's features and the embedding, and how evaluation takes embeddings.

    Args:
        dim: the embedding's length.
        projection: the layer is for training alone; evaluation sees the standardised features before it.
        whitening: evaluate with a projection's features decorrelated, from 0 (not at all) towards 1 (wholly).
        mirror: evaluate with the mean of a photo's and its mirror image's embedding, at twice the time.
        zoom: evaluate with the mean of a photo's and its central part's embedding; the share of each side, 1 for none.
    """

    dim: Dim
    projection: bool = False
    whitening: Annotated[float, Ge(0), Le(0.99)] = 0.0
    mirror: bool = False
    zoom: Zoom = 1.0

    def to_json(self) -> dict[str, Any]:
        """Return what model.json says of the layer: what it is, not what it was trained from."""
        return {part.name: getattr(self, part.name) for part in fields(EmbeddingLayer)}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingSection(EmbeddingLayer):
    """[embedding] of a recipe: the layer, and what its training starts from.

    Args:
        weights: run folder or model folder of one's own whose embedding layer is trained further; new when absent.
    """

    weights: Path | None = None
