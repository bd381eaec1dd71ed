"""The model folder: model.safetensors and model.json, usable with no recipe and no pickle."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from safetensors.torch import save
from torch import nn

from metricface import __version__
from metricface.build import components as make
from metricface.build.experiment import Experiment
from metricface.components.registry import Registries, installed_registries
from metricface.contracts import KINDS, HasStoredArguments, Head, wants_logits
from metricface.contracts.results import OperatingPoint, Result
from metricface.errors import ModelError, RecipeError
from metricface.files import write_atomically, write_json
from metricface.machine import ALONE
from metricface.model.bounded import at_most
from metricface.model.description import (
    FORMAT,
    OWN_DIGEST,
    Description,
    Reference,
    Transform,
    own_digest,
    read_description,
)
from metricface.model.face_model import FaceModel
from metricface.model.folder import WEIGHTS, find_model, read_weights, refuse_other_weights, weights_size
from metricface.model.hub import nothing_fetched
from metricface.model.preprocessing import Preprocessing
from metricface.recipe.naming import by_element_name
from metricface.recipe.schema import ComponentSpec
from metricface.recipe.signature import arguments_model, validated

_HEAD = "head.safetensors"
_ROOM = 2**26  # bytes that making a network may take besides twice its weights, for what is not stored


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model read from a folder.

    Args:
        model: in evaluation mode, on the CPU.
        preprocessing: how a photo becomes what it is given.
        description: model.json, checked.
        folder: where it was read.
        head: embeddings to logits, in evaluation mode; None where no evaluator of the recipe needed it.
        operating_points: by evaluator's name, see `named_evaluators`, what was fitted when the model was made.
    """

    model: FaceModel
    preprocessing: Preprocessing
    description: Description
    folder: Path
    head: Head | None = None
    operating_points: Mapping[str, Sequence[OperatingPoint]] = field(default_factory=dict)


def save_model(folder: Path, experiment: Experiment, trained: dict[str, Any], results: Mapping[str, Result]) -> str:
    """Write the evaluated model of an experiment; return the sha256 of its weights.

    Args:
        folder: made if missing.
        experiment: the weights are those of its state as it stands.
        trained: what the report says of the weights (epoch, EMA, selection), kept for the reader.
        results: of the evaluators; their operating points are kept.
    """
    recipe = experiment.recipe
    folder.mkdir(parents=True, exist_ok=True)
    digest = _save_weights(folder / WEIGHTS, experiment.state.evaluated_model)
    described = {
        "format": FORMAT,
        "metricface": __version__,
        "backbone": _backbone_reference(recipe.backbone, experiment.state.model.backbone),
        "embedding": recipe.embedding and recipe.embedding.to_json(),
        "transform": Transform.of(experiment.preprocessing).model_dump(mode="json"),
        "labels": list(experiment.train.label_names),
        "evaluate": [_reference(part) for part in recipe.evaluators],
        "head": _save_head(folder, experiment),
        "operating_points": {
            name: [point.to_json() for point in result.operating_points] for name, result in results.items()
        },
        "data": {**_reference(recipe.dataset), "root": str(recipe.data.root)},
        "calibration": recipe.data.calibration,
        "trained": trained,
        "sha256": digest,
    }
    write_json(folder / "model.json", {OWN_DIGEST: own_digest(described), **described})
    return digest


def load_model(path: str | PathLike[str], registries: Registries | None = None) -> LoadedModel:
    """Read a model folder or the model of a run folder; nothing in it can run code, and nothing is fetched.

    Args:
        path: the folder.
        registries: kind -> registry; None looks at the installed packages.

    Raises:
        ModelError: missing, damaged, changed, of a newer format, or weights that do not belong to the description.
        PluginError: its backbone comes from a package that is not installed.
    """
    registries = installed_registries() if registries is None else registries
    folder = find_model(Path(path))
    description = read_description(folder)
    preprocessing = description.transform.preprocessing
    model: FaceModel = _made(
        folder / WEIGHTS,
        description.sha256,
        description.backbone.name,
        lambda: make.face_model(
            registries,
            _untrained(registries, description.backbone),
            description.layer,
            preprocessing.image_size,
        ),
    )
    return LoadedModel(
        model=model,
        preprocessing=preprocessing,
        description=description,
        folder=folder,
        head=_load_head(folder, description, registries, model.embedding_dim),
        operating_points={
            name: [OperatingPoint.from_json(point.model_dump()) for point in stored]
            for name, stored in description.operating_points.items()
        },
    )


def named_evaluators(description: Description) -> dict[str, Reference]:
    """Return the evaluators of a model folder by the names that its recipe's reports call them."""
    return by_element_name(description.evaluate)


def stored_component(registries: Registries, kind: str, reference: Reference) -> ComponentSpec:
    """Return a component that a model folder names, its arguments checked like those of a recipe.

    Raises:
        ModelError: the arguments are not what the installed version of the component takes.
        PluginError: it is not installed.
    """
    name = reference.name
    entry = registries[kind].find(name)
    try:
        arguments = validated(arguments_model(registries[kind].load(name), KINDS[kind]), reference.arguments)
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(
            f"{kind} {name!r}: the model folder's {'.'.join(map(str, first['loc']))} does not fit the installed "
            f"{entry.distribution} {entry.version} ({first['msg']}); it was made with {reference.version}."
        ) from error
    return ComponentSpec(kind, name, arguments, entry.distribution, entry.version)


def _save_head(folder: Path, experiment: Experiment) -> dict[str, Any] | None:
    """Write the head's weights if an evaluator of the recipe needs logits; return what model.json says of it."""
    recipe, head = experiment.recipe, experiment.state.evaluated_head
    if recipe.head is None or not any(map(wants_logits, experiment.evaluators.values())):
        return None
    labels = [item.label for item in experiment.train.items]
    counts = [labels.count(label) for label in range(len(experiment.train.label_names))]
    digest = _save_weights(folder / _HEAD, head) if isinstance(head, nn.Module) else None
    return {**_reference(recipe.head), "class_counts": counts, "sha256": digest}


def _load_head(folder: Path, description: Description, registries: Registries, embedding_dim: int) -> Head | None:
    """Return the head of a model folder, None where it keeps none."""
    reference = description.head
    if reference is None:
        return None
    offered = {
        "embedding_dim": embedding_dim,
        "num_classes": len(description.labels),
        "class_counts": np.array(reference.class_counts, np.int64),
        **ALONE.offered(),  # a stored head has all of its classes, whoever trained it
    }
    head: Head = _made(
        None if reference.sha256 is None else folder / _HEAD,
        reference.sha256,
        reference.name,
        lambda: make.component(registries, stored_component(registries, "head", reference), **offered),
    )
    return head


def _made(file: Path | None, digest: str | None, name: str, make_it: Callable[[], Any]) -> Any:
    """Make what a model folder describes and fill it from a file of it, which is not read before all else fits.

    Args:
        file: of its weights, None where it has none.
        digest: the sha256 of the file.
        name: of the component, for messages.
        make_it: makes the component; it cannot take much more memory than its weights have, nor fetch anything.
    """
    size = 0 if file is None else weights_size(file)
    where = "model.json" if file is None else str(file.with_name("model.json"))
    with nothing_fetched(), at_most(2 * size + _ROOM, f"{where}: {name} of these arguments"):
        try:
            made = make_it()
        except (ModelError, RecipeError) as error:
            raise ModelError(f"{where}: {error}") from error
    if isinstance(made, nn.Module):
        if file is None:
            raise ModelError(f"{where}: {name} has weights, and the sha256 of none. Copy the model folder again.")
        refuse_other_weights(file, made.state_dict(), name)
        made.eval().load_state_dict(read_weights(file, digest))
    return made


def _save_weights(path: Path, module: nn.Module) -> str:
    """Write a module's tensors; return the sha256 of the file."""
    weights = save({name: tensor.contiguous().cpu() for name, tensor in module.state_dict().items()})
    write_atomically(path, lambda file: file.write(weights))
    return hashlib.sha256(weights).hexdigest()


def _untrained(registries: Registries, reference: Reference) -> ComponentSpec:
    """Return the backbone to load weights into; one that takes `weights` must not fetch any first."""
    asked = inspect.signature(registries["backbone"].load(reference.name)).parameters
    weights = {"weights": "random"} if "weights" in asked else {}
    untrained = reference.model_copy(update={"arguments": {**reference.arguments, **weights}})
    return stored_component(registries, "backbone", untrained)


def _backbone_reference(part: ComponentSpec, backbone: object) -> dict[str, Any]:
    """Return what a model folder says of the backbone, in such arguments as need nothing but this machine."""
    reference = _reference(part)
    stored = backbone.stored_arguments() if isinstance(backbone, HasStoredArguments) else {}
    known = {key: value for key, value in stored.items() if key in part.arguments}
    return {**reference, "arguments": {**reference["arguments"], **known}}


def _reference(part: ComponentSpec) -> dict[str, Any]:
    """Return what a model folder says of a component."""
    arguments = {key: value for key, value in part.table().items() if key not in ("name", "weight")}
    return {"name": part.name, "distribution": part.distribution, "version": part.version, "arguments": arguments}
