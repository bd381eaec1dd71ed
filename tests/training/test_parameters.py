from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import timm
import torch
from support.fakes import StagedBackbone, TinyBackbone
from timm.optim import param_groups_layer_decay
from torch import nn

from metricface.components.backbones.timm import TimmBackbone
from metricface.errors import RecipeError
from metricface.model.embedding_layer import EmbeddingLayer
from metricface.model.face_model import FaceModel
from metricface.training.parameters import backbone_groups, module_groups, parameter_groups
from metricface.training.state import TrainingState


def by_name(module: nn.Module, groups: Iterable[dict[str, Any]], key: str) -> dict[str, Any]:
    """Parameter name -> its group's value."""
    names = {parameter: name for name, parameter in module.named_parameters()}
    return {names[parameter]: group.get(key) for group in groups for parameter in group["params"]}


def test_each_stage_below_the_last_learns_slower_by_the_same_factor() -> None:
    backbone = StagedBackbone()
    groups = backbone_groups(backbone, scale=0.5, layer_decay=0.1)
    scales = {"stem": 0.5 * 0.1**2, "middle": 0.5 * 0.1, "top": 0.5}
    found = by_name(backbone, groups, "lr_scale")
    assert found == pytest.approx({name: scales[name.split(".")[0]] for name, _ in backbone.named_parameters()})
    assert len(groups) == 6  # each stage with and without weight decay
    assert by_name(backbone, groups, "weight_decay") == by_name(backbone, module_groups(backbone), "weight_decay")


def test_the_scales_are_those_of_timm() -> None:
    network = timm.create_model("test_vit", num_classes=0)
    backbone = TimmBackbone(model="test_vit", weights="random")
    theirs = by_name(network, param_groups_layer_decay(network, layer_decay=0.7), "lr_scale")
    ours = by_name(backbone, backbone_groups(backbone, layer_decay=0.7), "lr_scale")
    assert len(set(theirs.values())) == 7
    assert ours == pytest.approx({f"model.{name}": scale for name, scale in theirs.items()})


def test_a_factor_alone_needs_no_stages_and_a_decay_does() -> None:
    assert {group["lr_scale"] for group in backbone_groups(TinyBackbone(), scale=0.1)} == {0.1}
    with pytest.raises(
        RecipeError, match=r"^train\.layer_decay: this backbone does not say .* Take train\.layer_decay o"
    ):
        backbone_groups(TinyBackbone(), layer_decay=0.9)


def test_groups_of_its_own_are_split_too_and_a_stage_nobody_names_is_the_last() -> None:
    class Own(StagedBackbone):
        def parameter_groups(self) -> list[dict[str, Any]]:
            return [{"params": self.parameters(), "weight_decay": 0.3}]

        def parameter_stages(self) -> list[list[str]]:
            return super().parameter_stages()[:2]

    backbone = Own()
    groups = backbone_groups(backbone, layer_decay=0.5)
    found = by_name(backbone, groups, "lr_scale")
    assert {name.split(".")[0]: scale for name, scale in found.items()} == {"stem": 0.5, "middle": 1.0, "top": 1.0}
    assert {group["weight_decay"] for group in groups} == {0.3}


def test_frozen_parameters_are_in_no_group_not_even_in_one_that_a_backbone_makes_itself() -> None:
    class Own(StagedBackbone):
        def parameter_groups(self) -> list[dict[str, Any]]:
            return [{"params": list(self.stem.parameters())}, {"params": list(self.top.parameters())}]

    for backbone, left in ((StagedBackbone(), {"middle", "top"}), (Own(), {"top"})):
        FaceModel(backbone).freeze(1)
        groups = backbone_groups(backbone)
        assert {name.split(".")[0] for name in by_name(backbone, groups, "params")} == left
        assert all(group["params"] for group in groups)


def test_a_step_moves_each_stage_by_its_own_learning_rate_under_the_schedule() -> None:
    model = FaceModel(StagedBackbone(), EmbeddingLayer(dim=4))
    groups = [*backbone_groups(model.backbone, scale=0.5, layer_decay=0.1), *parameter_groups(model.embedding)]
    optimizer = torch.optim.SGD(groups, lr=2.0)
    state = TrainingState(model, (), optimizer, schedule=lambda step: 0.25 if step else 1.0, step=3)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for _ in range(2):  # the scale is not multiplied in twice
        assert state.apply_schedule() == 2.0 * 0.25
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    rates = {"stem": 0.0025, "middle": 0.025, "top": 0.25}
    for name, parameter in model.named_parameters():
        rate = rates.get(name.split(".")[1], 0.5)
        torch.testing.assert_close(parameter, before[name] - rate)
