"""Weights of timm models: where the published ones are, and what is in a file."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import timm.models
import torch
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError
from torch import Tensor, nn

from metricface.errors import ModelError
from metricface.model_folder import read_model

NETWORK = "model."  # where a TimmBackbone keeps timm's network
_PROBE_SECONDS = 1.5
_NAMED = 3


class OutOfReach(Exception):  # noqa: N818 - caught by the caller, who decides whether it is an error
    """The weights can neither be found here nor fetched; the text says why."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file with weights, and the source to put on record: repository, revision and file, or the address."""

    path: Path
    source: str


def find_pretrained(config: Mapping[str, Any]) -> Found:
    """Find the weights that a timm configuration (`model.pretrained_cfg`) names.

    The caches come first: the hub's, then torch's (older timm versions put the file there). Only then the network, and
    only after a probe, since a download without one would try for most of a minute. Without a network the answer comes
    within `_PROBE_SECONDS`, also when the name lookup hangs.

    Raises:
        OutOfReach: there are no such weights, or neither a cache nor the hub gives them.
    """
    name = f"{config['architecture']}.{config['tag']}" if config.get("tag") else config["architecture"]
    if not config.get("hf_hub_id") and not config.get("url"):
        raise OutOfReach(f"timm has no ImageNet weights for {name}")
    for found in (*_in_hub_cache(config), *_in_torch_cache(config)):
        return found
    missing = f"ImageNet weights of {name} are not in the cache"
    if not config.get("hf_hub_id"):
        raise OutOfReach(f"{missing} and not on the hub (they come from {config['url']})")
    if constants.HF_HUB_OFFLINE:
        raise OutOfReach(f"{missing} and HF_HUB_OFFLINE is set")
    if not hub_answers():
        raise OutOfReach(f"{missing} and the hub cannot be reached")
    return _download(config, missing)


def _hub_files(config: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str]]:
    """Yield (repository, revision, file) in the order in which timm tries them."""
    repository, _, revision = config["hf_hub_id"].partition("@")
    for name in ("model.safetensors", "pytorch_model.bin"):
        yield repository, revision or None, name


def _in_hub_cache(config: Mapping[str, Any]) -> Iterator[Found]:
    if config.get("hf_hub_id"):
        for repository, revision, name in _hub_files(config):
            path = huggingface_hub.try_to_load_from_cache(repository, name, revision=revision)
            if isinstance(path, str):
                yield _on_record(path, repository, name)


def _in_torch_cache(config: Mapping[str, Any]) -> Iterator[Found]:
    url = config.get("url") or ""
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if path.suffix in {".pth", ".safetensors"} and path.is_file():
        yield Found(path, url)


def _download(config: Mapping[str, Any], missing: str) -> Found:
    for repository, revision, name in _hub_files(config):
        try:
            return _on_record(huggingface_hub.hf_hub_download(repository, name, revision=revision), repository, name)
        except EntryNotFoundError:
            continue
        except Exception as error:
            raise OutOfReach(f"{missing} and could not be fetched: {error}") from error
    raise OutOfReach(f"{missing} and {config['hf_hub_id']} on the hub holds no file of them")


def _on_record(path: str, repository: str, name: str) -> Found:
    revision = Path(path).parent.name  # the cache keeps each file in a folder named after its commit
    return Found(Path(path), f"{repository}@{revision[:12]}/{name}")


def hub_answers() -> bool:
    """Say whether the hub gives any answer within the time; through the client that would download, so with its proxy.

    A name lookup knows no time limit. It goes on in a thread that nobody waits for.
    """
    answered = threading.Event()

    def ask() -> None:
        with contextlib.suppress(Exception):
            huggingface_hub.get_session().head(constants.ENDPOINT, timeout=_PROBE_SECONDS)
            answered.set()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PROBE_SECONDS)
    return answered.is_set()


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors file or of torch's format, of which nothing but tensors is read.

    Raises:
        ModelError: the file is broken, or holds anything else.
    """
    try:
        weights: dict[str, Tensor] = timm.models.load_state_dict(str(path), weights_only=True)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(
            f"backbone.weights: {path} cannot be read as weights ({type(error).__name__}: {reason}). "
            "Get it again, or save the state_dict of the model as .safetensors."
        ) from error
    return weights


def given_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the tensors that a user's path stands for, and "" or which model of ours they are.

    Args:
        path: a file in timm's own names; or a run folder, a model folder or its model.safetensors, whose backbone is
            then meant.

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
    if not all(name.startswith(NETWORK) for name in weights):
        raise ModelError(
            f"backbone.weights: {path} holds no model of timm ({found.source}). "
            f"Set backbone.name to {found.description.backbone.name!r}, or name another folder."
        )
    return {name.removeprefix(NETWORK): tensor for name, tensor in weights.items()}, found.source


def load_weights(network: nn.Module, config: Mapping[str, Any], given: Mapping[str, Tensor], path: Path) -> None:
    """Fill a network of timm, with its configuration, from its weights and at most a classifier besides.

    Args:
        network, config: what to fill, and what timm knows of it.
        given: name -> tensor, in timm's own names.
        path: where they were read, for the message.

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
            f"{config['architecture']} ({listed}). Set backbone.model to the one it was saved from."
        )
    network.load_state_dict(weights)
