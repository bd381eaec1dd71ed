"""What a model folder holds, read and checked without making any component: model.json and its tensors."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from metricface.errors import ModelError

FORMAT = 1
WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model folder that was read whole.

    Args:
        path: the folder itself.
        description: the whole of model.json.
        weights: name -> tensor, the state of a FaceModel.
    """

    path: Path
    description: dict[str, Any]
    weights: dict[str, Tensor]

    @property
    def source(self) -> str:
        """Which weights these are, for the record: the beginning of their sha256, and what they were trained from."""
        return f"model {self.description['sha256'][:12]} of backbone {self.description['backbone']['name']}"

    def part(self, name: str) -> dict[str, Tensor]:
        """Return the tensors of one part of the FaceModel, "backbone" or "embedding", by their names in it."""
        prefix = f"{name}."
        return {key.removeprefix(prefix): value for key, value in self.weights.items() if key.startswith(prefix)}


def find_model(path: Path) -> Path:
    """Return the model folder for MODEL on a command line: a model folder or a run folder.

    Raises:
        ModelError: there is no model at `path`.
    """
    for folder in (path, path / "model"):
        if (folder / "model.json").is_file():
            return folder
    if (path / "recipe.toml").is_file():
        raise ModelError(
            f"{path}: this run has no model yet. Finish it: metricface run {path / 'recipe.toml'} --resume"
        )
    raise ModelError(f"{path}: no model here (no model.json). Name a run folder or its model folder.")


def read_model(path: Path) -> ModelFolder:
    """Read a model folder or the model of a run folder; nothing in it can run code.

    Raises:
        ModelError: missing, damaged, of another format, or weights that are not those of the description.
    """
    folder = find_model(path)
    try:
        description = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        version, digest, _ = description["format"], description["sha256"], description["backbone"]["name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise not_readable(folder, error) from error
    if version != FORMAT:
        raise ModelError(f"{folder}: model format {version}, this MetricFace reads {FORMAT}. Update metricface.")
    return ModelFolder(folder, description, read_weights(folder / WEIGHTS, digest))


def read_weights(path: Path, digest: str) -> dict[str, Tensor]:
    """Read the tensors of one file of a model folder.

    Raises:
        ModelError: missing, damaged, or not the file with that sha256.
    """
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise ModelError(f"{path.parent}: {path.name} is not the file that model.json describes. Copy both again.")
        return load(data)
    except (OSError, SafetensorError) as error:
        raise not_readable(path.parent, error) from error


def not_readable(folder: Path, error: Exception) -> ModelError:
    """Return the error for a folder whose files are not what they should be."""
    return ModelError(f"{folder}: not a readable model ({type(error).__name__}: {error}). Train or copy it again.")


def fill_embedding(layer: nn.Module, path: Path) -> str:
    """Fill an embedding layer from the model in a folder; return a line for the user.

    Raises:
        ModelError: there is no model or it is damaged; its embedding layer has other shapes.
    """
    try:
        found = read_model(path)
    except ModelError as error:
        raise ModelError(f"embedding.weights: {error}") from error
    try:
        layer.load_state_dict(found.part("embedding"))
    except RuntimeError as error:
        features = found.weights.get("embedding.0.weight")
        has = "no embedding layer" if features is None else "one of {1} features to {0}".format(*features.shape)
        raise ModelError(
            f"embedding.weights: the layer of this recipe does not fit {path}, which has {has}. "
            "Set embedding.dim and backbone.model to its own, or take embedding.weights out."
        ) from error
    return f"embedding weights: {path} (fine-tuned from {found.source})"
