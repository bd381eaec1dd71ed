"""Any model of timm, without its classifier."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any, cast

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from metricface.components.backbones._architecture import Architecture, create_network, find_architecture
from metricface.components.backbones._timm_names import refused_model
from metricface.contracts import InputSpec
from metricface.errors import MetricFaceError, ModelError, RecipeError, nearest
from metricface.model.fitting import load_weights
from metricface.model.hub import OutOfReach
from metricface.model.pretrained import NETWORK, find_pretrained, given_weights, read_weights

_WORDS = ("imagenet", "imagenet-if-available", "random")

Level = Annotated[float, Ge(0), Le(1)]
Deviation = Annotated[float, Gt(0), Le(1)]


class TimmBackbone(nn.Module):
    """A timm model that gives its pooled features: ResNet, ViT, ConvNeXt, MobileNet, ...

    Transformers made for one size of photo take others where timm can interpolate their position embeddings; the side
    length must then be a multiple of the patch size.

    Args:
        model: timm's name, with or without the tag of the weights: "resnet18" or "resnet18.a1_in1k"; or
            "hf_hub:owner/name" (at will with "@revision"), a model on the hub whose config.json timm wrote. That needs
            the network once, then the cache.
        weights: "imagenet" (what timm or the hub has for the name, nearly always from ImageNet; refused when it cannot
            be had), "imagenet-if-available" (otherwise random, with a notice), "random"; or a path: a .safetensors or
            .pth file with this model's weights in timm's own names, with or without classifier, under a prefix of a
            wrapper or not, or a run folder or
            model folder of your own, whose backbone is then trained further.
        mean: of red, green and blue, in 0 to 1, that photos are normalised with; the model's own when absent.
        std: standard deviation of the three, in 0 to 1 too; the model's own when absent.
        arguments: further ones that timm gives the model, for instance {drop_path_rate = 0.1}.

    Attributes:
        feature_dim: F, features of a photo.
        input_spec: mean, std, and side length of the photos that timm trained the model on.
        trained_from: where the weights come from: "repository@revision/file", an address, a path, or "random".
        notices: the same as a line for the user, with the model of your own that is trained further, or the
            reason if it is not what was asked for.

    Raises:
        RecipeError: there is no such model, it does not take `arguments`, or `weights` is neither a word nor a path.
        ModelError: the weights or the hub's model cannot be had or read, or the weights belong to another model.
    """

    feature_dim: int
    input_spec: InputSpec

    def __init__(
        self,
        *,
        model: str = "resnet18",
        weights: str = "imagenet-if-available",
        mean: tuple[Level, Level, Level] | None = None,
        std: tuple[Deviation, Deviation, Deviation] | None = None,
        arguments: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if refusal := _refused_weights(weights):
            raise RecipeError(f"backbone.weights: {refusal}.")
        self._architecture, self._arguments = find_architecture(model), arguments or {}
        network, self.trained_from, reason = _build(self._architecture, weights, self._arguments)
        self.model: nn.Module = network
        self.feature_dim = network.head_hidden_size
        config = self._architecture.config
        own_mean, own_std = (cast("tuple[float, float, float]", tuple(config[key])) for key in ("mean", "std"))
        self.input_spec = InputSpec(mean or own_mean, std or own_std, config["input_size"][-1])
        self.notices: tuple[str, ...] = (f"weights: {self.trained_from}" + (f" ({reason})" if reason else ""),)

    @staticmethod
    def refusals(arguments: Mapping[str, Any], batch_size: int) -> Mapping[str, str]:
        """Return what is wrong with a name that timm does not have, or with weights that are not there."""
        del batch_size
        named = {key: arguments[key] for key in ("model", "weights") if key in arguments}  # a subclass may have neither
        found = {key: (refused_model if key == "model" else _refused_weights)(name) for key, name in named.items()}
        return {key: refusal for key, refusal in found.items() if refusal}

    @staticmethod
    def size_refusals(arguments: Mapping[str, Any], image_size: int) -> Mapping[str, str]:
        """Return why a model made for one size takes no photos of another, found without computing anything."""
        if "model" not in arguments:  # a subclass that names none
            return {}
        with suppress(MetricFaceError, RuntimeError):  # it cannot be made, or not be tried without computing
            architecture = find_architecture(arguments["model"])
            if not architecture.config.get("fixed_input_size"):
                return {}
            try:
                with torch.device("meta"):
                    network = create_network(architecture, arguments["arguments"] or {})
                    network(torch.empty(2, 3, image_size, image_size))
            except AssertionError as error:
                return {"image_size": _refused_size(image_size, error, architecture.config["input_size"][-1])}
        return {}

    @staticmethod
    def usual_image_size(arguments: Mapping[str, Any]) -> int | None:
        """Return the side length that the model was trained on, None where a subclass names no model."""
        if "model" not in arguments:
            return None
        size: int = find_architecture(arguments["model"]).config["input_size"][-1]
        return size

    def stored_arguments(self) -> dict[str, Any]:
        """Return what a model on the hub is in timm's own words, so that its model folder needs no hub."""
        if not self._architecture.hub_id:
            return {}
        return {
            "model": self._architecture.name,
            "weights": self.trained_from,
            "mean": list(self.input_spec.mean),
            "std": list(self.input_spec.std),
            "arguments": {**self._architecture.arguments, **self._arguments},
        }

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
        from timm.models import group_parameters

        groups = group_parameters(self.model, matcher)
        return tuple(tuple(NETWORK + name for name in names) for names in groups.values())

    def no_weight_decay(self) -> frozenset[str]:
        """Return the parameters that timm keeps from decaying: position embeddings, class tokens and the like."""
        if not hasattr(self.model, "no_weight_decay"):
            return frozenset()
        patterns = cast(Any, self.model).no_weight_decay()
        names = (name for name, _ in self.model.named_parameters())
        return frozenset(NETWORK + name for name in names if any(fnmatch(name, pattern) for pattern in patterns))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> features (B, F).

        Raises:
            RecipeError: the model takes no photos of this size.
        """
        try:
            features: Tensor = self.model(images)
        except AssertionError as error:  # how timm refuses a size
            refusal = _refused_size(images.shape[-1], error, self.input_spec.image_size)
            raise RecipeError(f"data.image_size: {refusal}.") from error
        return features


def _refused_size(side: int, error: AssertionError, made_for: int) -> str:
    return f"this backbone takes no photos of {side} pixels ({str(error).rstrip('.')}). It was made for {made_for}"


def _refused_weights(weights: str) -> str:
    """Return what is wrong with weights that are neither a word nor there, "" where nothing is."""
    if weights in _WORDS or Path(weights).expanduser().exists():
        return ""
    return (
        f'no such path, and no word for one (got "{weights}").{nearest(weights, _WORDS)} '
        'Words: "imagenet", "imagenet-if-available", "random"; or the path of a .safetensors or .pth file, '
        "or of a run folder"
    )


def _build(architecture: Architecture, weights: str, arguments: Mapping[str, Any]) -> tuple[Any, str, str]:
    """Return the network, where its weights come from, and a remark on them."""
    config = architecture.config
    if weights not in _WORDS:
        network, path = create_network(architecture, arguments), Path(weights).expanduser()
        given, remark = given_weights(path)
        left = load_weights(network, config, given, path)
        return network, weights, "; ".join(filter(None, (remark, left)))
    if weights == "random":
        return create_network(architecture, arguments), "random", ""
    try:
        found = find_pretrained(config)
    except OutOfReach as reason:
        if weights == "imagenet-if-available":
            return create_network(architecture, arguments), "random", str(reason)
        hub, url = config.get("hf_hub_id"), config.get("url")
        page = f"https://huggingface.co/{hub.partition('@')[0]}" if hub else url
        fetch = f"Get the file from {page} and set backbone.weights to its path, or take" if page else "Take"
        raise ModelError(f'backbone.weights: {reason}. {fetch} "imagenet-if-available" or "random".') from reason
    given = read_weights(found.path)
    if architecture.hub_id:  # anybody's file: what does not fit is refused, where timm would leave it out
        network = create_network(architecture, arguments)
        return network, found.source, load_weights(network, config, given, found.path)
    from timm.models import clean_state_dict

    # timm's own way in, since some published files need its renaming of keys.
    overlay = {"state_dict": clean_state_dict(given)}
    network = create_network(architecture, arguments, pretrained=True, pretrained_cfg_overlay=overlay)
    del network.pretrained_cfg["state_dict"]  # timm would keep a second copy of the weights
    return network, found.source, ""
