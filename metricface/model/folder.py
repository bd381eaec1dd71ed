"""What a model folder holds, read and checked without making any component: model.json and its tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from torch import Tensor, nn

from metricface.errors import ModelError, NoModelError
from metricface.machine import memory_size
from metricface.model.description import IN_RUN, Description, not_readable, read_description
from metricface.model.nan import refuse_nan

WEIGHTS = "model.safetensors"
_NAMED = 3


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model folder that was read whole.

    Args:
        path: the folder itself.
        description: model.json, checked.
        weights: name -> tensor, the state of a FaceModel.
    """

    path: Path
    description: Description
    weights: dict[str, Tensor]

    @property
    def source(self) -> str:
        """Which weights these are, for the record: the beginning of their sha256, and what they were trained from."""
        return f"model {self.description.sha256[:12]} of backbone {self.description.backbone.name}"

    def part(self, name: str) -> dict[str, Tensor]:
        """Return the tensors of one part of the FaceModel, "backbone" or "embedding", by their names in it."""
        prefix = f"{name}."
        return {key.removeprefix(prefix): value for key, value in self.weights.items() if key.startswith(prefix)}


def find_model(path: Path) -> Path:
    """Return the model folder for MODEL on a command line: a model folder or a run folder.

    Raises:
        NoModelError: there is no model at `path`.
    """
    for folder in (path, path / IN_RUN):
        if (folder / "model.json").is_file():
            return folder
    raise NoModelError(f"{path}: no model here (no model.json). Name a run folder or its model folder.")


def read_model(path: Path) -> ModelFolder:
    """Read a model folder or the model of a run folder; nothing in it can run code.

    Raises:
        ModelError: missing, damaged, of a newer format, or weights that are not those of the description.
    """
    folder = find_model(path)
    description = read_description(folder)
    return ModelFolder(folder, description, read_weights(folder / WEIGHTS, description.sha256))


def weights_size(path: Path) -> int:
    """Return how many bytes the tensors of a file of a model folder take; only the header of the file is read.

    Raises:
        ModelError: missing, not as long as its header says, or more than the machine has memory for.
    """
    if not path.is_file():
        raise not_readable(path.parent, f"{path.name} is missing")
    try:
        with safe_open(path, "numpy"):
            size = path.stat().st_size
    except (OSError, SafetensorError) as error:
        raise not_readable(path.parent, f"{path.name}: {type(error).__name__}: {error}") from error
    refuse_beyond_memory(path, str(path.parent))
    return size


def refuse_beyond_memory(path: Path, where: str) -> None:
    """Refuse a file of weights that this machine has no memory for, before it is read.

    Raises:
        ModelError: names `where` and both sizes.
    """
    size, memory = path.stat().st_size, memory_size()
    if size > memory:
        raise ModelError(
            f"{where}: {path.name} has {size / 2**30:,.1f} GiB, and this machine {memory / 2**30:,.1f} GiB of memory. "
            "Copy it again if it should be smaller, or use a larger machine."
        )


def refuse_other_weights(path: Path, wanted: Mapping[str, Tensor], what: str) -> None:
    """Refuse a file of a model folder that has other names or shapes than `wanted`; only its header is read.

    Raises:
        ModelError: says how many differ and names the first.
    """
    with safe_open(path, "numpy") as file:
        there = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping
    here = {name: tuple(tensor.shape) for name, tensor in wanted.items()}
    if differing := sorted(name for name in {*here, *there} if here.get(name) != there.get(name)):
        first = "; ".join(
            f"{name} {there.get(name, 'missing')} in the file, {here.get(name, 'missing')} in the model"
            for name in differing[:_NAMED]
        )
        raise ModelError(
            f"{path.parent}: {path.name} does not hold the weights of the {what} that model.json describes "
            f"({len(differing)} of {len({*here, *there})} tensors differ: {first}). Copy both again."
        )


def read_weights(path: Path, digest: str | None) -> dict[str, Tensor]:
    """Read the tensors of one file of a model folder.

    Raises:
        ModelError: missing, damaged, not the file with that sha256, too large, or with NaN among its numbers.
    """
    weights_size(path)
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise ModelError(f"{path.parent}: {path.name} is not the file that model.json describes. Copy both again.")
        weights = load(data)
    except (OSError, SafetensorError) as error:
        raise not_readable(path.parent, f"{type(error).__name__}: {error}") from error
    refuse_nan(weights, f"{path.parent}: {path.name}", "Take another model, or train it anew.")
    return weights


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
