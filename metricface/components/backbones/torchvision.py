"""Any classification model of torchvision, without its classifier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from metricface.components.backbones import _torchvision_models as models
from metricface.contracts import InputSpec
from metricface.errors import ModelError, RecipeError, nearest
from metricface.model.fitting import load_weights
from metricface.model.hub import Found, OutOfReach, download_address, in_torch_cache, torch_cache
from metricface.model.pretrained import NETWORK, given_weights, read_weights

_WORDS = ("imagenet", "imagenet-if-available", "random")
_CONTAINERS = ("features", "layers", "blocks", "encoder", "trunk_output")  # whose parts are stages, not they themselves
_NO_DECAY = ("class_token", "pos_embedding", "relative_position_bias_table")

Level = Annotated[float, Ge(0), Le(1)]
Deviation = Annotated[float, Gt(0), Le(1)]


class TorchvisionBackbone(nn.Module):
    """A classification model of torchvision that gives what its last layer would get: ResNet, RegNet, ViT, Swin, ...

    Vision transformers are made for `data.image_size`, which must be a multiple of their patch size; the position
    embeddings of their weights are interpolated to it. GoogLeNet and Inception are without their auxiliary classifiers.

    Args:
        model: torchvision's name, for instance "resnet18".
        weights: torchvision's name of published ones, for instance "IMAGENET1K_V1" or "DEFAULT" (the best); refused
            when they cannot be had. "imagenet" is "DEFAULT"; "imagenet-if-available" too (otherwise random, with a
            notice); "random". Or a path: a .safetensors or .pth file with this model's weights in torchvision's own
            names, with or without classifier, under a prefix of a wrapper or not, or a run folder or model folder of
            your own, whose backbone is then trained further.
        mean: of red, green and blue, in 0 to 1, that photos are normalised with; the weights' own when absent.
        std: standard deviation of the three, in 0 to 1 too; the weights' own when absent.
        image_size: side length of the photos in pixels.

    Attributes:
        feature_dim: F, features of a photo.
        input_spec: mean, std, and side length of the photos that the weights were evaluated with.
        trained_from: where the weights come from: an address, a path, or "random".
        notices: the same as a line for the user, with the reason if it is not what was asked for.

    Raises:
        RecipeError: there is no such model, it takes no photos of that size, or `weights` is neither a name nor a path.
        ModelError: the weights cannot be had or read, or belong to another model.
    """

    def __init__(
        self,
        *,
        model: str = "resnet18",
        weights: str = "imagenet-if-available",
        mean: tuple[Level, Level, Level] | None = None,
        std: tuple[Deviation, Deviation, Deviation] | None = None,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        for key, refusal in self.refusals({"model": model, "weights": weights}, 2).items():
            raise RecipeError(f"backbone.{key}: {refusal}.")
        usual = _entry(model, weights).transforms()
        size: int = usual.crop_size[0]
        self._name = model
        self.model, classifiers = models.create_network(model, image_size or size)
        self.feature_dim = models.features_of(self.model, model, image_size or size)
        self.input_spec = InputSpec(mean or tuple(usual.mean), std or tuple(usual.std), size)
        self.trained_from, remark = self._fill(weights, {"architecture": model, "classifier": classifiers})
        self.notices: tuple[str, ...] = (f"weights: {self.trained_from}" + (f" ({remark})" if remark else ""),)

    @staticmethod
    def refusals(arguments: Mapping[str, Any], batch_size: int) -> Mapping[str, str]:
        """Return what is wrong with a name that torchvision does not have, or with weights that are not there."""
        del batch_size
        model, weights = arguments["model"], arguments["weights"]
        if refusal := models.refused_model(model):
            return {"model": refusal}
        words = (*models.published(model), *_WORDS)
        if weights in words or Path(weights).expanduser().exists():
            return {}
        refusal = (
            f'no such path, and no weights of {model} in torchvision (got "{weights}").{nearest(weights, words)} '
            f"There are: {', '.join(words)}; or the path of a .safetensors or .pth file, or of a run folder"
        )
        return {"weights": refusal}

    @staticmethod
    def size_refusals(arguments: Mapping[str, Any], image_size: int) -> Mapping[str, str]:
        """Return why the model takes no photos of a size, found without computing anything; see HasSizeRefusals."""
        refusal = models.refused_at(arguments["model"], image_size)
        return {"image_size": refusal} if refusal else {}

    @staticmethod
    def usual_image_size(arguments: Mapping[str, Any]) -> int | None:
        """Return the side length that the weights were evaluated with, None for a name that torchvision lacks."""
        if models.refused_model(arguments["model"]):
            return None
        size: int = _entry(arguments["model"], arguments["weights"]).transforms().crop_size[0]
        return size

    def parameter_stages(self) -> tuple[tuple[str, ...], ...]:
        """Return the parameters of the stem and of each block; what has no matrix (a norm) goes with the one before."""
        stages: list[list[str]] = [[]]
        full = False
        for part, names in groupby((name for name, _ in self.model.named_parameters()), _part):
            listed = list(names)
            begins = part not in listed and any(self.model.get_parameter(name).ndim > 1 for name in listed)
            if begins and full:
                stages.append([])
            stages[-1] += (NETWORK + name for name in listed)
            full = full or begins
        return tuple(map(tuple, stages))

    def no_weight_decay(self) -> frozenset[str]:
        """Return the position embeddings and class tokens."""
        names = (name for name, _ in self.named_parameters())
        return frozenset(name for name in names if name.rpartition(".")[2] in _NO_DECAY)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> features (B, F).

        Raises:
            RecipeError: the model was made for photos of another size.
        """
        try:
            features: Tensor = self.model(images)
        except AssertionError as error:  # how a vision transformer refuses a size
            raise models.size_error(self._name, images.shape[-1], error) from error
        return features

    def _fill(self, weights: str, config: Mapping[str, Any]) -> tuple[str, str]:
        """Fill the network; return where its weights come from, and a remark on them."""
        if weights == "random":
            return weights, ""
        if weights not in (*models.published(self._name), *_WORDS):
            path = Path(weights).expanduser()
            given, remark = given_weights(path)
            left = load_weights(self.model, config, models.todays(given, self.model), path)
            return weights, "; ".join(filter(None, (remark, left)))
        try:
            found = _found(self._name, _entry(self._name, weights))
        except OutOfReach as reason:
            if weights == "imagenet-if-available":
                return "random", str(reason)
            url = _entry(self._name, weights).url
            raise ModelError(
                f"backbone.weights: {reason}. Get {url}, put it into {torch_cache()} or set backbone.weights to its "
                'path; or take "imagenet-if-available" or "random".'
            ) from reason
        load_weights(self.model, config, models.todays(read_weights(found.path), self.model), found.path)
        return found.source, ""


def _entry(model: str, weights: str) -> Any:
    """Return torchvision's entry of published weights, that of the best for weights that are not published."""
    known = models.published(model)
    return known.get(weights, known["DEFAULT"])


def _found(model: str, entry: Any) -> Found:
    """Return the file of published weights: from torch's cache, or from the network."""
    missing = f"the weights {entry.name} of {model} are not in the cache ({torch_cache()})"
    cached: Iterator[Found] = in_torch_cache(entry.url)
    return next(cached, None) or download_address(entry.url, missing)


def _part(name: str) -> str:
    """Return the part of a network that a parameter is of: "layer1", "features.3", "encoder.layers.encoder_layer_0"."""
    parts = name.split(".")
    depth = next(number for number, part in enumerate(parts) if part not in _CONTAINERS)
    return ".".join(parts[: depth + 1])
