"""Which parameters are trained, which of them decay, and how fast each learns."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from metricface.contracts import HasParameterGroups
from metricface.model.face_model import backbone_stages


def parameter_groups(*parts: object) -> list[dict[str, Any]]:
    """Return the optimizer groups of all parts that are torch modules, in order (see `module_groups`)."""
    return [group for part in parts if isinstance(part, nn.Module) for group in module_groups(part)]


def module_groups(module: nn.Module) -> list[dict[str, Any]]:
    """Return a module's optimizer groups: its own if it offers them, else two.

    Weights decay as the optimizer says; biases and the scales and shifts of normalisation layers (all of them
    one-dimensional) do not. Frozen parameters are left out.

    Source:
        "Bag of Tricks for Image Classification", arXiv 1812.01187 section 3.1 (no bias decay).
    """
    if isinstance(module, HasParameterGroups):
        groups = [dict(group) for group in module.parameter_groups()]
    else:
        parameters = list(module.parameters())
        groups = [
            {"params": [parameter for parameter in parameters if parameter.ndim > 1]},
            {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
        ]
    for group in groups:
        group["params"] = [parameter for parameter in group["params"] if parameter.requires_grad]
    return [group for group in groups if group["params"]]


def backbone_groups(backbone: nn.Module, *, scale: float = 1.0, layer_decay: float = 1.0) -> list[dict[str, Any]]:
    """Return the backbone's optimizer groups, split by `lr_scale`: a factor on the learning rate, as timm names it.

    Args:
        backbone: with `parameter_stages` if `layer_decay` is below 1 (see HasParameterStages).
        scale: of the last stage.
        layer_decay: a stage k below the last one gets `scale * layer_decay**k`.

    Raises:
        RecipeError: `layer_decay` is below 1 and the backbone names no stages.

    Source:
        arXiv 2106.08254 (BEiT) and 2111.06377 (MAE), fine-tuning; timm.optim.param_groups_layer_decay. There the
        classifier is the top, so that the last layer is one below; here the top is the last stage.
    """
    scales: dict[Tensor, float] = {}
    if layer_decay != 1.0:
        parameters = dict(backbone.named_parameters())
        for depth, names in enumerate(reversed(backbone_stages(backbone, "train.layer_decay"))):
            scales.update({parameters[name]: scale * layer_decay**depth for name in names})
    groups: list[dict[str, Any]] = []
    for group in module_groups(backbone):
        by_scale: dict[float, list[Tensor]] = {}
        for parameter in group["params"]:
            by_scale.setdefault(scales.get(parameter, scale), []).append(parameter)
        groups += [{**group, "params": params, "lr_scale": lr_scale} for lr_scale, params in by_scale.items()]
    return groups
