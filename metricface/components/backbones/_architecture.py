"""Which network a name stands for: one of timm's own, or one that a repository on the hub describes."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metricface.components.backbones._timm_names import refused_model
from metricface.errors import ModelError, RecipeError
from metricface.model.hub import OutOfReach, download, in_hub_cache

_HUB = re.compile(r"hf[-_]hub:(?P<id>[\w.-]+/[\w.-]+(@[\w./-]+)?)")


@dataclass(frozen=True, slots=True)
class Architecture:
    """What it takes to make a network of timm.

    Args:
        name: timm's own name of it, also where the hub describes it.
        config: what timm knows of it (its PretrainedCfg): mean, std, sizes, and where its weights are.
        arguments: of timm.create_model, as the hub's config.json asks for.
        hub_id: "owner/name" or "owner/name@revision" on the hub, "" where timm itself has it.
    """

    name: str
    config: Mapping[str, Any]
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    hub_id: str = ""


def find_architecture(model: str) -> Architecture:
    """Return what a name stands for. One on the hub (`hf_hub:owner/name`) needs its cache or, at once, the network.

    Raises:
        RecipeError: timm has no such model, or it is no name on the hub.
        ModelError: what the hub has of it can neither be found here nor fetched, or is no model of timm.
    """
    if model.startswith(("hf_hub:", "hf-hub:")):
        return _on_the_hub(model)
    if refusal := refused_model(model):
        raise RecipeError(f"backbone.model: {refusal}.")
    import timm.models

    config = timm.models.get_pretrained_cfg(model)
    assert config is not None, model  # every name in the lists has one
    return Architecture(model, dataclasses.asdict(config))


def create_network(architecture: Architecture, arguments: Mapping[str, Any], **options: Any) -> Any:
    """Return timm's network with pooled features, for any size of photo where it can be had.

    Args:
        architecture: of which network.
        arguments: of timm.create_model, which go before those of the architecture.
        options: more of them, which are not the user's.

    Raises:
        RecipeError: the network does not take the arguments.
    """
    import timm

    if ours := sorted(_filled_in() & set(arguments)):
        raise RecipeError(f"backbone.arguments: {ours[0]} is filled in by this backbone. Take it out.")
    given = {"num_classes": 0, **architecture.arguments, **arguments, **options}
    if architecture.config.get("fixed_input_size") and "dynamic_img_size" not in given:
        with contextlib.suppress(TypeError):  # not every architecture has the option
            return timm.create_model(architecture.name, dynamic_img_size=True, **given)
    try:
        return timm.create_model(architecture.name, **given)
    except (TypeError, ValueError) as error:
        if not arguments:
            raise
        reason = str(error).partition("\n")[0]  # torch's may have its own frames below
        raise RecipeError(
            f"backbone.arguments: {architecture.name} does not take them ({reason}). "
            "Give it those of its class in timm, for instance drop_path_rate = 0.1."
        ) from error


def _filled_in() -> set[str]:
    """Return the arguments of timm.create_model that are not the user's to give."""
    import timm

    return {*inspect.signature(timm.create_model).parameters, "num_classes", "in_chans", "features_only"}


def _on_the_hub(model: str) -> Architecture:
    """Return what the config.json of a repository describes."""
    named = _HUB.fullmatch(model)
    if named is None:
        raise RecipeError(f'backbone.model: a model on the hub is written "hf_hub:owner/name" (got "{model}").')
    hub_id, names = named["id"], ("config.json",)
    try:
        found = next(in_hub_cache(hub_id, names), None)
        found = found or download(hub_id, names, f"the config.json of {model} is not in the cache")
    except OutOfReach as reason:
        raise ModelError(
            f"backbone.model: {reason}. Run it once where the hub can be reached (the cache then keeps it), "
            "or take a model that timm has by name and set backbone.weights to a file."
        ) from reason
    return _described(found.path, model, hub_id)


def _described(path: Path, model: str, hub_id: str) -> Architecture:
    """Read a config.json as timm writes it: today's form, or the older one without a part for the weights."""
    import timm.models

    try:
        given = json.loads(path.read_bytes())
        name = given["architecture"]
        described = given.get("pretrained_cfg", given)
        known = {field.name for field in dataclasses.fields(timm.models.PretrainedCfg)}
        described = timm.models.PretrainedCfg(**{key: value for key, value in described.items() if key in known})
        config = dataclasses.asdict(described)
        channels, *sides = config["input_size"]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"backbone.model: {model} is no model of timm (its config.json is not one of timm's). Name another."
        ) from error
    if not timm.is_model(name) or channels != 3:
        raise ModelError(
            f"backbone.model: {model} cannot be used here (architecture {name!r}, {channels} colours; timm "
            f"{timm.__version__} must have it, and 3 are needed). Update timm, or name another."
        )
    arguments = {key: value for key, value in (given.get("model_args") or {}).items() if key not in _filled_in()}
    if config["fixed_input_size"]:
        arguments.setdefault("img_size", sides)
    size = arguments.get("img_size", sides)  # what its position embeddings are for goes before any other
    config.update(input_size=(3, *(size if isinstance(size, list) else [size, size])))
    config.update(architecture=name, hf_hub_id=hub_id, source="hf-hub", url=None, file=None)
    return Architecture(name, config, arguments, hub_id)
