"""Classification models of torchvision: their names, the weights that it publishes, and making them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

from metricface.errors import RecipeError, nearest

# Weights of another layer than the one that is taken here as features, with nothing in the layers above it.
_WITHOUT = ("IMAGENET1K_FEATURES",)
# Both put photos into another range first where they have weights, and a model must be the same with and without.
_INCEPTION = {"aux_logits": False, "transform_input": True, "init_weights": True}
_OPTIONS: Mapping[str, Mapping[str, Any]] = {"googlenet": _INCEPTION, "inception_v3": _INCEPTION}
_WHERE = "data.image_size: "
_ASIDE = ("aux1", "aux2", "AuxLogits")  # classifiers beside the last one, which published files have
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.(\d\.)")


@cache
def names() -> tuple[str, ...]:
    """Return the names of the models."""
    from torchvision import models

    return tuple(models.list_models(module=models))


def refused_model(model: str) -> str:
    """Return what is wrong with the name of a model, "" where torchvision has it."""
    if model in names():
        return ""
    return (
        f'torchvision {version("torchvision")} has no such classification model (got "{model}").'
        f"{nearest(model, names())} There are: {', '.join(names())}"
    )


def published(model: str) -> dict[str, Any]:
    """Return name -> torchvision's entry of the weights that it publishes for a model, "DEFAULT" among them."""
    from torchvision import models

    return {name: it for name, it in models.get_model_weights(model).__members__.items() if it.name not in _WITHOUT}


def create_network(model: str, image_size: int) -> tuple[nn.Module, tuple[str, ...]]:
    """Return a network without its last layer, and the names of the classifiers that weights of it may hold.

    Args:
        model: one of `names`.
        image_size: side length of the photos in pixels, for those that are made for one.

    Raises:
        RecipeError: the model cannot be made for that size.
    """
    from torchvision import models

    options = dict(_OPTIONS.get(model, {}))
    if model.startswith("vit_"):
        options["image_size"] = image_size
    elif model.startswith("maxvit_"):
        options["input_size"] = (image_size, image_size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of how it will be initialised one day
            network: nn.Module = models.get_model(model, weights=None, **options)
    except (AssertionError, ValueError) as error:
        raise size_error(model, image_size, error) from error
    layers = [name for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    network.set_submodule(layers[-1], nn.Identity())
    return network, (layers[-1], *_ASIDE)


def features_of(network: nn.Module, model: str, image_size: int) -> int:
    """Return F of the features (B, F) of photos of a side length, found without computing anything.

    Raises:
        RecipeError: the network takes no photos of that size.
    """
    state = {name: tensor.to("meta") for name, tensor in network.state_dict(keep_vars=True).items()}
    images = torch.empty(2, 3, image_size, image_size, device="meta")
    try:
        with torch.no_grad():
            return int(torch.func.functional_call(network, state, (images,)).shape[1])
    except (AssertionError, RuntimeError, ValueError) as error:
        raise size_error(model, image_size, error) from error


def refused_at(model: str, image_size: int) -> str:
    """Return why a model takes no photos of a side length, "" where it does; its weights take no memory."""
    try:
        with torch.device("meta"):
            network, _ = create_network(model, image_size)
        features_of(network, model, image_size)
    except NotImplementedError:  # RegNets look at numbers when they are made; they take any size
        return ""
    except RecipeError as error:
        return str(error).removeprefix(_WHERE).removesuffix(".")
    return ""


def size_error(model: str, image_size: int, error: Exception) -> RecipeError:
    """Return the error for photos of a size that a model cannot take."""
    usual = published(model)["DEFAULT"].transforms().crop_size[0]
    reason = " ".join(str(error).split()).removesuffix(".")
    return RecipeError(
        f"{_WHERE}{model} of torchvision takes no photos of {image_size} pixels ({reason}). It was made for {usual}."
    )


def todays(given: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return published weights in the names and the size of a network: DenseNets, and transformers at another size."""
    from torchvision.models import DenseNet, VisionTransformer
    from torchvision.models.vision_transformer import interpolate_embeddings

    weights = dict(given)
    if isinstance(network, DenseNet):
        weights = {_OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in weights.items()}
    if isinstance(network, VisionTransformer) and "encoder.pos_embedding" in weights:
        with suppress(ValueError):  # embeddings of no square: what does not fit is told where it is loaded
            weights = dict(interpolate_embeddings(network.image_size, network.patch_size, weights))
    return weights
