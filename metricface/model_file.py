"""The model folder: model.safetensors and model.json, usable with no recipe and no pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors.torch import save

from metricface import __version__, build
from metricface.contracts import KINDS, InputSpec
from metricface.errors import ModelError
from metricface.files import write_atomically, write_json
from metricface.model import FaceModel
from metricface.model_folder import FORMAT, not_readable, read_model
from metricface.recipe.schema import Component
from metricface.recipe.signature import arguments_model, validated
from metricface.registry import Registries


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model read from a folder.

    Args:
        model: in evaluation mode, on the CPU.
        input_spec: mean and std of the photos it wants.
        image_size: their side length in pixels.
        crop: central share of each side that is kept before resizing.
        description: the whole of model.json.
        folder: where it was read.
    """

    model: FaceModel
    input_spec: InputSpec
    image_size: int
    crop: float
    description: dict[str, Any]
    folder: Path


def save_model(folder: Path, experiment: build.Experiment, trained: dict[str, Any]) -> str:
    """Write the evaluated model of an experiment; return the sha256 of its weights.

    Args:
        folder: made if missing.
        experiment: the weights are those of its state as it stands.
        trained: what the report says of the weights (epoch, EMA, selection), kept for the reader.
    """
    recipe, spec = experiment.recipe, experiment.input_spec
    weights = save(
        {name: tensor.contiguous().cpu() for name, tensor in experiment.state.evaluated_model.state_dict().items()}
    )
    digest = hashlib.sha256(weights).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "model.safetensors", lambda file: file.write(weights))
    write_json(
        folder / "model.json",
        {
            "format": FORMAT,
            "metricface": __version__,
            "backbone": _reference(recipe.backbone),
            "embedding_dim": recipe.embedding and recipe.embedding.dim,
            "transform": {
                "crop": recipe.data.crop,
                "image_size": recipe.data.image_size,
                "resize": "square, aspect not kept",
                "colour": "RGB",
                "mean": list(spec.mean),
                "std": list(spec.std),
            },
            "labels": list(experiment.train.label_names),
            "evaluate": [_reference(part) for part in recipe.evaluators],
            "data": {**_reference(recipe.dataset), "root": str(recipe.data.root)},
            "trained": trained,
            "sha256": digest,
        },
    )
    return digest


def load_model(path: Path, registries: Registries) -> LoadedModel:
    """Read a model folder or the model of a run folder; nothing in it can run code.

    Raises:
        ModelError: missing, damaged, of a newer format, or weights that do not belong to the description.
        PluginError: its backbone comes from a package that is not installed.
    """
    found = read_model(path)
    description = found.description
    try:
        transform, reference, dim = (description[key] for key in ("transform", "backbone", "embedding_dim"))
        input_spec = InputSpec(tuple(transform["mean"]), tuple(transform["std"]), transform["image_size"])
        crop = transform["crop"]
    except (KeyError, TypeError) as error:
        raise not_readable(found.path, error) from error
    model = build.face_model(registries, _untrained(registries, reference), dim)
    try:
        model.load_state_dict(found.weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{found.path}: the weights do not fit {reference['name']} ({reason}).") from error
    return LoadedModel(model.eval(), input_spec, transform["image_size"], crop, description, found.path)


def stored_component(registries: Registries, kind: str, reference: Mapping[str, Any]) -> Component:
    """Return a component that a model file names, its arguments checked like those of a recipe.

    Raises:
        ModelError: the arguments are not what the installed version of the component takes.
        PluginError: it is not installed.
    """
    name = reference["name"]
    entry = registries[kind].find(name)
    try:
        arguments = validated(arguments_model(registries[kind].load(name), KINDS[kind]), reference["arguments"])
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(
            f"{kind} {name!r}: the model file's {'.'.join(map(str, first['loc']))} does not fit the installed "
            f"{entry.distribution} {entry.version} ({first['msg']}); it was made with {reference['version']}."
        ) from error
    return Component(kind, name, arguments, entry.distribution, entry.version)


def _untrained(registries: Registries, reference: Mapping[str, Any]) -> Component:
    """Return the backbone to load weights into; one that takes `weights` must not fetch any first."""
    weights = {"weights": "random"} if "weights" in reference["arguments"] else {}
    return stored_component(registries, "backbone", {**reference, "arguments": {**reference["arguments"], **weights}})


def _reference(part: Component) -> dict[str, Any]:
    """Return what a model file says of a component."""
    arguments = {key: value for key, value in part.table().items() if key not in ("name", "weight")}
    return {"name": part.name, "distribution": part.distribution, "version": part.version, "arguments": arguments}
