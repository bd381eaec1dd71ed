"""Which parameters are trained, which of them decay, and how fast each learns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from metricface.contracts import HasNoWeightDecay, HasParameterGroups
from metricface.model.face_model import backbone_stages

NAMED = "named"  # in a group of parameters that do not decay because their module says so


def parameter_groups(*parts: object) -> list[dict[str, Any]]:
    """Return the optimizer groups of all parts that are torch modules, in order (see `module_groups`)."""
    return [group for part in parts if isinstance(part, nn.Module) for group in module_groups(part)]


def module_groups(module: nn.Module) -> list[dict[str, Any]]:
    """Return a module's optimizer groups: its own if it offers them, else two or three.

    Weights decay as the optimizer says; biases and the scales and shifts of normalisation layers (all of them
    one-dimensional) do not, nor does what the module names itself, which is a group of its own with NAMED in it.
    Frozen parameters are left out.

    Source:
        "Bag of Tricks for Image Classification", arXiv 1812.01187 section 3.1 (no bias decay); position embeddings
        and class tokens as in timm.optim.param_groups_weight_decay.
    """
    if isinstance(module, HasParameterGroups):
        groups = [dict(group) for group in module.parameter_groups()]
    else:
        named = set(module.no_weight_decay()) if isinstance(module, HasNoWeightDecay) else set()
        weights = [(name, parameter) for name, parameter in module.named_parameters() if parameter.ndim > 1]
        groups = [
            {"params": [parameter for name, parameter in weights if name not in named]},
            {"params": [parameter for parameter in module.parameters() if parameter.ndim <= 1], "weight_decay": 0.0},
            {"params": [parameter for name, parameter in weights if name in named], "weight_decay": 0.0, NAMED: True},
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


def regroup(optimizer: Optimizer, saved: Mapping[str, Any], order: Iterable[Tensor]) -> None:
    """Let the parameters that a module keeps from decaying decay again where a saved optimizer had it so.

    Checkpoints from before modules could name such parameters have them among the weights; a run that goes on from one
    goes on as it began.

    Args:
        optimizer: whose groups are changed, before it loads `saved`; not where they have the saved sizes.
        saved: its `state_dict()` in a checkpoint.
        order: parameters in the order of `module_groups`.
    """
    sizes = [len(group["params"]) for group in saved["param_groups"]]
    if sizes == [len(group["params"]) for group in optimizer.param_groups]:
        return
    place = {parameter: number for number, parameter in enumerate(order)}
    groups: list[dict[str, Any]] = []
    for group in optimizer.param_groups:
        # The weights of the same module, with the same factor on the learning rate, are the nearest group before it.
        alike = (it for it in reversed(groups) if it.get("lr_scale") == group.get("lr_scale"))
        weights = next((it for it in alike if it["params"][0].ndim > 1), None) if group.get(NAMED) else None
        if weights is None:
            groups.append(group)
        else:
            weights["params"] = sorted([*weights["params"], *group["params"]], key=place.__getitem__)
    optimizer.param_groups = groups
