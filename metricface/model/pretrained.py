"""Weights of timm models: where the published ones are, and what is in a file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from metricface.errors import MetricFaceError, ModelError
from metricface.model.folder import read_model, refuse_beyond_memory
from metricface.model.hub import Found, OutOfReach, download, in_hub_cache, in_torch_cache
from metricface.model.nan import refuse_nan

NETWORK = "model."  # where a TimmBackbone keeps timm's network
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")  # in the order in which timm tries them
# Under which key checkpoints keep a state_dict, the averaged one first, as timm takes it.
_PLACES = (
    *("state_dict_ema", "model_ema", "state_dict", "model_state_dict"),
    *("model", "net", "network", "backbone", "encoder"),
)
_DEEPEST = 4  # of one in another
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
    cached: Iterator[Found] = chain(
        in_hub_cache(hub_id, _HUB_FILES) if hub_id else (), in_torch_cache(config.get("url") or "")
    )
    if (found := next(cached, None)) is not None:
        return found
    if not hub_id:
        raise OutOfReach(f"{what} are not in the cache and not on the hub (they come from {config['url']})")
    return download(hub_id, _HUB_FILES, f"{what} are not in the cache")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors file or of torch's format, of which nothing but tensors is read.

    Raises:
        ModelError: the file is broken, holds no weights or objects, has NaN among its numbers, or is too large.
    """
    return _read_weights(path)[0]


def _read_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a file, and under which keys of a checkpoint they were: "model.state_dict", "" for none."""
    if not path.is_file():
        raise ModelError(f"backbone.weights: {path} is no file. Name a .safetensors or .pth file, or a run folder.")
    refuse_beyond_memory(path, "backbone.weights")
    try:
        safe = path.suffix == ".safetensors"
        held = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except MetricFaceError:  # an interruption
        raise
    except Exception as error:
        if found := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise ModelError(
                f"backbone.weights: {path} cannot be read as weights (it also holds {found[1]}, and Python objects can "
                "run code). Where you trust it, save the state_dict alone: "
                'torch.save(torch.load(FILE, weights_only=False)["state_dict"], "weights.pth").'
            ) from error
        # Of torch's own errors none helps, and one tells to read the file without the check.
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        reason = reason if safe or isinstance(error, OSError) else "it is no checkpoint of torch, or a damaged one"
        raise ModelError(
            f"backbone.weights: {path} cannot be read as weights ({reason}). "
            "Get it again, or save the state_dict of the model as .safetensors."
        ) from error
    places: list[str] = []
    for _ in range(_DEEPEST):  # a pickle may hold itself
        here = held if isinstance(held, Mapping) else {}
        place = next((name for name in _PLACES if isinstance(here.get(name), Mapping)), None)
        if place is None:
            break
        held, places = here[place], [*places, place]
    weights = {name: tensor for name, tensor in here.items() if isinstance(name, str) and isinstance(tensor, Tensor)}
    if not weights:
        has = f"keys: {', '.join(map(str, list(here)[:_NAMED]))}" if here else f"a {type(held).__name__}"
        raise ModelError(
            f"backbone.weights: {path} holds no weights at its top, nor under {', '.join(_PLACES)} (got {has}). "
            "Save the state_dict of the model alone."
        )
    refuse_nan(weights, f"backbone.weights: {path}", "Take other weights, or those of an earlier checkpoint.")
    return weights, ".".join(places)


def given_weights(path: Path, prefix: str = NETWORK) -> tuple[dict[str, Tensor], str]:
    """Return the tensors that a user's path stands for, and a remark: which model of ours they are, or "".

    Args:
        path: a file in the network's own names; or a run folder, a model folder or its model.safetensors, whose
            backbone is then meant.
        prefix: what a backbone of ours puts before those names.

    Raises:
        ModelError: they cannot be read, the folder holds no model, or its backbone is neither timm's nor torchvision's.
    """
    folder = path.parent if path.name == "model.safetensors" and (path.parent / "model.json").is_file() else path
    if not folder.is_dir():
        weights, place = _read_weights(path)
        return weights, f"found under {place}" if place else ""
    try:
        found = read_model(folder)
    except ModelError as error:
        raise ModelError(f"backbone.weights: {error}") from error
    weights = found.part("backbone")
    if not all(name.startswith(prefix) for name in weights):
        raise ModelError(
            f"backbone.weights: {path} holds no model of timm or torchvision ({found.source}). "
            f"Set backbone.name to {found.description.backbone.name!r}, or name another folder."
        )
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items()}, f"fine-tuned from {found.source}"
