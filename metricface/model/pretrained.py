"""Weights of timm models: where the published ones are, and what is in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from metricface.errors import ModelError
from metricface.model.folder import read_model
from metricface.model.hub import Found, OutOfReach, download, in_hub_cache
from metricface.model.nan import refuse_nan

NETWORK = "model."  # where a TimmBackbone keeps timm's network
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")  # in the order in which timm tries them
_NAMED = 3


def find_pretrained(config: Mapping[str, Any]) -> Found:
    """Find the weights that a timm configuration (`model.pretrained_cfg`) names.

    The caches come first: the hub's, then torch's (older timm versions put the file there). Only then the network.

    Raises:
        OutOfReach: there are no such weights, or neither a cache nor the hub gives them.
    """
    hub_id = config.get("hf_hub_id")
    what = f"ImageNet weights of {'.'.join(filter(None, (config['architecture'], config.get('tag'))))}"
    if config.get("source") == "hf-hub":
        what = f"the weights of hf_hub:{hub_id}"
    if not hub_id and not config.get("url"):
        raise OutOfReach(f"timm has no {what.replace(' of ', ' for ')}")
    cached: Iterator[Found] = chain(in_hub_cache(hub_id, _HUB_FILES) if hub_id else (), _in_torch_cache(config))
    if (found := next(cached, None)) is not None:
        return found
    if not hub_id:
        raise OutOfReach(f"{what} are not in the cache and not on the hub (they come from {config['url']})")
    return download(hub_id, _HUB_FILES, f"{what} are not in the cache")


def _in_torch_cache(config: Mapping[str, Any]) -> Iterator[Found]:
    url = config.get("url") or ""
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if path.suffix in {".pth", ".safetensors"} and path.is_file():
        yield Found(path, url)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors file or of torch's format, of which nothing but tensors is read.

    Raises:
        ModelError: the file is broken, holds anything else, or NaN among its numbers.
    """
    from timm.models import load_state_dict

    try:
        weights: dict[str, Tensor] = load_state_dict(str(path), weights_only=True)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(
            f"backbone.weights: {path} cannot be read as weights ({type(error).__name__}: {reason}). "
            "Get it again, or save the state_dict of the model as .safetensors."
        ) from error
    refuse_nan(weights, f"backbone.weights: {path}", "Take other weights, or those of an earlier checkpoint.")
    return weights


def given_weights(path: Path, prefix: str = NETWORK) -> tuple[dict[str, Tensor], str]:
    """Return the tensors that a user's path stands for, and "" or which model of ours they are.

    Args:
        path: a file in the network's own names; or a run folder, a model folder or its model.safetensors, whose
            backbone is then meant.
        prefix: what a backbone of ours puts before those names.

    Raises:
        ModelError: they cannot be read, the folder holds no model, or its backbone is not timm's.
    """
    folder = path.parent if path.name == "model.safetensors" and (path.parent / "model.json").is_file() else path
    if not folder.is_dir():
        return read_weights(path), ""
    try:
        found = read_model(folder)
    except ModelError as error:
        raise ModelError(f"backbone.weights: {error}") from error
    weights = found.part("backbone")
    if not all(name.startswith(prefix) for name in weights):
        raise ModelError(
            f"backbone.weights: {path} holds no model of timm ({found.source}). "
            f"Set backbone.name to {found.description.backbone.name!r}, or name another folder."
        )
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items()}, found.source


def load_weights(
    network: nn.Module,
    config: Mapping[str, Any],
    given: Mapping[str, Tensor],
    path: Path,
    way_out: str = "Set backbone.model to the one it was saved from.",
) -> None:
    """Fill a network from its weights and at most a classifier besides.

    Args:
        network: what to fill.
        config: timm's of the network: its `architecture` and the names of its `classifier`.
        given: name -> tensor, in the network's own names.
        path: where they were read, for the message.
        way_out: what to do if they do not fit, for the message.

    Raises:
        ModelError: names or shapes are those of another model.
    """
    classifiers = config.get("classifier") or ()
    heads = tuple(f"{name}." for name in ([classifiers] if isinstance(classifiers, str) else classifiers))
    weights = {name: tensor for name, tensor in given.items() if not name.startswith(heads)}
    wanted = network.state_dict()
    problems = {
        # Files from before batch normalisation counted its batches lack the counts; torch fills them in.
        "missing": [name for name in wanted if name not in weights and not name.endswith(".num_batches_tracked")],
        "unknown": [name for name in weights if name not in wanted],
        "of another shape": [name for name in wanted if name in weights and weights[name].shape != wanted[name].shape],
    }
    if any(problems.values()):
        listed = "; ".join(
            f"{len(names)} {what}: {', '.join(sorted(names)[:_NAMED])}{', ...' * (len(names) > _NAMED)}"
            for what, names in problems.items()
            if names
        )
        raise ModelError(
            f"backbone.weights: {path} holds the weights of another model than "
            f"{config['architecture']} ({listed}). {way_out}"
        )
    network.load_state_dict(weights)
