"""Any model of timm, without its classifier."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import timm
import timm.models
from torch import Tensor, nn

from metricface.backbones.pretrained import (
    NETWORK,
    OutOfReach,
    find_pretrained,
    given_weights,
    load_weights,
    read_weights,
)
from metricface.contracts import InputSpec
from metricface.errors import ModelError, RecipeError, nearest

_WORDS = ("imagenet", "imagenet-if-available", "random")


class TimmBackbone(nn.Module):
    """A timm model that gives its pooled features.

    Transformers made for one size of photo take others where timm can interpolate their position embeddings; the side
    length must then be a multiple of the patch size.

    Args:
        model: timm's name, with or without the tag of the weights: "resnet18" or "resnet18.a1_in1k".
        weights: "imagenet" (what timm has for the name, nearly always from ImageNet; refused when it cannot be had),
            "imagenet-if-available" (otherwise random, with a notice), "random"; or a path: a .safetensors or .pth file
            with this model's weights in timm's own names, with or without classifier, or a run folder or model folder
            of your own, whose backbone is then trained further.

    Attributes:
        feature_dim: F, features of a photo.
        input_spec: mean, std and side length of the photos that timm trained the model on.
        trained_from: where the weights come from: "repository@revision/file", an address, a path, or "random".
        notices: the same as a line for the user, with the model of your own that is trained further, or the
            reason if it is not what was asked for.

    Raises:
        RecipeError: timm has no such model, or `weights` is neither a word nor a path.
        ModelError: the weights cannot be had or read, or they belong to another model.
    """

    feature_dim: int
    input_spec: InputSpec

    def __init__(self, *, model: str = "resnet18", weights: str = "imagenet-if-available") -> None:
        super().__init__()
        _check_names(model, weights)
        config = _configuration(model)
        network, self.trained_from, reason = _build(model, weights, config)
        self.model: nn.Module = network
        self.feature_dim = network.head_hidden_size
        mean, std = (cast("tuple[float, float, float]", tuple(config[key])) for key in ("mean", "std"))
        self.input_spec = InputSpec(mean, std, config["input_size"][-1])
        self.notices: tuple[str, ...] = (f"weights: {self.trained_from}" + (f" ({reason})" if reason else ""),)

    def parameter_stages(self) -> tuple[tuple[str, ...], ...]:
        """Return the parameters stage by stage: timm's coarse groups, or nothing where it has none for the model."""
        if not hasattr(self.model, "group_matcher"):
            return ()
        try:
            matcher = cast(Any, self.model).group_matcher(coarse=True)
        except AssertionError:  # how timm says that it has fine groups only
            return ()
        if isinstance(matcher, dict):
            # timm makes what no pattern matches (a last norm, say) a stage of its own; with its ordinal for "as the
            # group before" it joins the last stage.
            matcher = {**matcher, "rest": [("", (99999,))]}
        groups = timm.models.group_parameters(self.model, matcher)
        return tuple(tuple(NETWORK + name for name in names) for names in groups.values())

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> features (B, F).

        Raises:
            RecipeError: the model takes no photos of this size.
        """
        try:
            features: Tensor = self.model(images)
        except AssertionError as error:  # how timm refuses a size
            raise RecipeError(
                f"data.image_size: this backbone takes no photos of {images.shape[-1]} pixels ({error}). "
                f"It was made for {self.input_spec.image_size}."
            ) from error
        return features


def _check_names(model: str, weights: str) -> None:
    """Refuse what timm does not know and what is no file, before anything is built."""
    if model not in (known := timm.list_models()) and model not in (known := [*known, *timm.list_pretrained()]):
        close = ", ".join(difflib.get_close_matches(model, known, n=3)) or "none"
        raise RecipeError(
            f'backbone.model: timm {timm.__version__} has no such model (got "{model}"). Nearest: {close}. '
            "Browse them with timm.list_models()."
        )
    if weights not in _WORDS and not Path(weights).expanduser().exists():
        raise RecipeError(
            f'backbone.weights: no such path, and no word for one (got "{weights}").{nearest(weights, _WORDS)} '
            'Words: "imagenet", "imagenet-if-available", "random"; or the path of a .safetensors or .pth file, '
            "or of a run folder."
        )


def _configuration(name: str) -> dict[str, Any]:
    """Return what timm knows of the model: mean, std, sizes, and where its weights are."""
    found = timm.models.get_pretrained_cfg(name)
    assert found is not None, name  # every name that passes _check_names has one
    return dataclasses.asdict(found)


def _build(name: str, weights: str, config: Mapping[str, Any]) -> tuple[Any, str, str]:
    """Return the network, where its weights come from, and a remark on them."""
    if weights == "random":
        return _create(name, config), "random", ""
    if weights not in _WORDS:
        network, path = _create(name, config), Path(weights).expanduser()
        given, model = given_weights(path)
        load_weights(network, config, given, path)
        return network, weights, f"fine-tuned from {model}" if model else ""
    try:
        found = find_pretrained(config)
    except OutOfReach as reason:
        if weights == "imagenet-if-available":
            return _create(name, config), "random", str(reason)
        hub, url = config.get("hf_hub_id"), config.get("url")
        page = f"https://huggingface.co/{hub}" if hub else url
        fetch = f"Get the file from {page} and set backbone.weights to its path, or take" if page else "Take"
        raise ModelError(f'backbone.weights: {reason}. {fetch} "imagenet-if-available" or "random".') from reason
    # timm's own way in, since some published files need its renaming of keys.
    network = _create(name, config, pretrained=True, pretrained_cfg_overlay={"state_dict": read_weights(found.path)})
    del network.pretrained_cfg["state_dict"]  # timm would keep a second copy of the weights
    return network, found.source, ""


def _create(name: str, config: Mapping[str, Any], **options: Any) -> Any:
    """Return timm's model with pooled features, for any size of photo where it can be had."""
    if config.get("fixed_input_size"):
        with contextlib.suppress(TypeError):  # not every architecture has the option
            return timm.create_model(name, num_classes=0, dynamic_img_size=True, **options)
    return timm.create_model(name, num_classes=0, **options)
