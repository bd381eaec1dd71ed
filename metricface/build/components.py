"""From a name to an object: the only place where a component is looked up and made."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch

from metricface.components.registry import Registries
from metricface.contracts import KINDS, Backbone, Dataset, IndexChoice, Tracker
from metricface.errors import MetricFaceError, PluginError
from metricface.model.embedding_layer import EmbeddingLayer
from metricface.model.face_model import FaceModel
from metricface.recipe.checking import checked_table
from metricface.recipe.problems import Problems
from metricface.recipe.schema import ComponentSpec, Recipe
from metricface.recipe.signature import arguments_model


def component(registries: Registries, spec: ComponentSpec, **offered: Any) -> Any:
    """Make one component: the recipe's checked arguments and whatever of `offered` its signature asks for.

    Raises:
        MetricFaceError: the component's own refusal.
        PluginError: its constructor failed; names the component and its package.
    """
    factory = registries[spec.kind].load(spec.name)
    asked = inspect.signature(factory).parameters
    arguments = {**spec.arguments, **{name: value for name, value in offered.items() if name in asked}}
    if "distortions" in asked and "distortions" in KINDS[spec.kind].offered:
        arguments["distortions"] = distortions(registries, spec.arguments.get("distortions"))
    for name in ("index", "indexes"):
        if name in asked and name in KINDS[spec.kind].offered:
            arguments[name] = _chosen(registries, spec.arguments.get(name))
    try:
        return factory(**arguments)
    except MetricFaceError:
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0]  # torch's may have its own frames below
        raise PluginError(
            f"{spec.kind} {spec.name!r} of {spec.distribution} {spec.version} cannot be made: "
            f"{type(error).__name__}: {reason}. Look at its parameters: metricface show {spec.kind} {spec.name}"
        ) from error


def _chosen(registries: Registries, asked: Any) -> Any:
    """Return the index of a table, those of a list of tables, None for none."""
    if isinstance(asked, Sequence):
        return [_chosen(registries, table) for table in asked]
    if asked is None:
        return None
    settings = {key: value for key, value in asked.items() if key != "name"}
    spec = configured(registries, "index", asked["name"], settings, f"index {asked['name']}")
    usual = arguments_model(registries["index"].load(spec.name), KINDS["index"]).model_fields
    own = {key: value for key, value in settings.items() if value != usual[key].default}
    return IndexChoice(spec.name, own, lambda dim: component(registries, spec, dim=dim))


def configured(registries: Registries, kind: str, name: str, settings: Mapping[str, Any], where: str) -> ComponentSpec:
    """Return a component with arguments that a user set outside a recipe, checked like those of one.

    Raises:
        RecipeError: the arguments are not those that it takes; `where` is what the message begins with.
        PluginError: there is no such component, or it is broken.
    """
    entry, factory = registries[kind].find(name), registries[kind].load(name)
    problems = Problems(where, {}, settings)
    checked = checked_table(problems, (), arguments_model(factory, KINDS[kind]), dict(settings))
    problems.refuse()
    return ComponentSpec(kind, name, checked or {}, entry.distribution, entry.version)


def optional(registries: Registries, spec: ComponentSpec | None, **offered: Any) -> Any:
    """Make a component that a recipe may leave out; None stays None."""
    return None if spec is None else component(registries, spec, **offered)


def distortions(registries: Registries, names: Any = None) -> dict[str, Any]:
    """Return distortion objects by name, all registered ones when `names` is None."""
    registry = registries["distortion"]
    return {name: registry.load(name)() for name in (registry.names() if names is None else names)}


def trackers(registries: Registries, recipe: Recipe) -> dict[str, Tracker]:
    """Return the recipe's trackers by `Recipe.named_trackers`, not started yet."""
    return {name: component(registries, spec) for name, spec in recipe.named_trackers().items()}


def dataset(registries: Registries, recipe: Recipe, split: str) -> Dataset:
    """Return the recipe's dataset of one split."""
    offered = {"root": recipe.data.root, "split": split, "max_pixels": recipe.data.max_pixels}
    return cast(Dataset, component(registries, recipe.dataset, **offered))


def face_model(
    registries: Registries, backbone: ComponentSpec, layer: EmbeddingLayer | None, image_size: int
) -> FaceModel:
    """Return the model of a recipe or of a model folder, for photos of `image_size` pixels a side."""
    return FaceModel(cast(Backbone, component(registries, backbone, image_size=image_size)), layer)


def on(device: torch.device, part: Any) -> Any:
    """Move a component that is a torch module to the device."""
    return part.to(device) if isinstance(part, torch.nn.Module) else part
