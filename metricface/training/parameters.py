"""Which parameters decay."""

from __future__ import annotations

from typing import Any

from torch import nn

from metricface.contracts import HasParameterGroups


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
        return list(module.parameter_groups())
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in trained if parameter.ndim > 1]},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
