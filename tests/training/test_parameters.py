from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import pytest
import timm
import torch
from support.fakes import StagedBackbone, TinyBackbone
from timm.optim import param_groups_layer_decay, param_groups_weight_decay
from torch import nn

from metricface.components.backbones.iresnet import IResNet
from metricface.components.backbones.timm import TimmBackbone
from metricface.contracts import HasNoWeightDecay
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


def decaying(module: nn.Module, groups: Iterable[dict[str, Any]]) -> set[str]:
    """The names of the parameters that an optimizer with a weight decay of 1 shrinks."""
    decays = by_name(module, torch.optim.SGD(list(groups), lr=0.1, weight_decay=1.0).param_groups, "weight_decay")
    assert set(decays) == {name for name, _ in module.named_parameters()}
    return {name for name, decay in decays.items() if decay}


@pytest.mark.parametrize("name", ["test_vit", "test_vit3", "test_convnext", "test_resnet", "test_efficientnet"])
def test_what_decays_is_what_decays_in_timm(name: str) -> None:
    network = timm.create_model(name, num_classes=0)
    spared = network.no_weight_decay() if hasattr(network, "no_weight_decay") else ()
    theirs = param_groups_weight_decay(network, 1.0, no_weight_decay_list=spared)
    backbone = TimmBackbone(model=name, weights="random")
    assert decaying(backbone, backbone_groups(backbone)) == {f"model.{it}" for it in decaying(network, theirs)}


def test_a_transformers_position_embeddings_and_class_token_do_not_decay() -> None:
    backbone = TimmBackbone(model="test_vit", weights="random")
    assert isinstance(backbone, HasNoWeightDecay)
    assert backbone.no_weight_decay() == {"model.pos_embed", "model.cls_token"}
    left = decaying(backbone, module_groups(backbone))
    assert not {"model.pos_embed", "model.cls_token"} & left
    assert {"model.patch_embed.proj.weight", "model.blocks.0.attn.qkv.weight"} <= left
    optimizer = torch.optim.SGD(backbone_groups(backbone, layer_decay=0.5), lr=0.1, weight_decay=0.5)
    before = {name: parameter.detach().clone() for name, parameter in backbone.named_parameters()}
    for parameter in backbone.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    moved = {name for name, parameter in backbone.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == {name for name in left if before[name].any()}


def groups_of_before(module: nn.Module) -> list[dict[str, Any]]:
    """The optimizer groups as they were before a module could name what must not decay."""
    parameters = list(module.parameters())
    return [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1]},
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
    ]


@pytest.mark.parametrize("make", [lambda: IResNet(depth=18, feature_dim=8, image_size=32), lambda: TinyBackbone()])
def test_groups_of_a_module_that_names_nothing_are_what_they_were(make: Any) -> None:
    module = make()
    expected = [group for group in groups_of_before(module) if group["params"]]
    trained = [{**group, "params": [it for it in group["params"] if it.requires_grad]} for group in expected]
    found = module_groups(module)
    assert [group.keys() for group in found] == [group.keys() for group in trained]
    for ours, theirs in zip(found, trained, strict=True):
        assert all(one is other for one, other in zip(ours["params"], theirs["params"], strict=True))


class Named(StagedBackbone):
    """A backbone with a position embedding, between its stages."""

    def __init__(self) -> None:
        super().__init__()
        self.stem.register_parameter("position", nn.Parameter(torch.ones(1, 3)))

    def no_weight_decay(self) -> set[str]:
        return {"stem.position", "stem.no_such_token"}


def state_of(backbone: nn.Module, groups: list[dict[str, Any]]) -> TrainingState:
    optimizer = torch.optim.AdamW(groups, lr=0.1, weight_decay=0.5)
    return TrainingState(FaceModel(backbone), (), optimizer)


def step(state: TrainingState) -> None:
    for number, parameter in enumerate(state.model.parameters()):
        parameter.grad = torch.full_like(parameter, 0.1 * number)
    state.apply_schedule()
    state.optimizer.step()


@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_a_checkpoint_of_before_goes_on_as_it_began(layer_decay: float) -> None:
    torch.manual_seed(0)
    old, new = Named(), Named()
    new.load_state_dict(old.state_dict())
    old.__class__ = type("Before", (StagedBackbone,), {})  # names nothing
    before, after = (state_of(it, backbone_groups(it, layer_decay=layer_decay)) for it in (old, new))
    assert len(after.optimizer.param_groups) == len(before.optimizer.param_groups) + 1
    step(before)
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    assert len(after.optimizer.param_groups) == len(before.optimizer.param_groups)
    for _ in range(2):
        step(before)
        step(after)
    for ours, theirs in zip(after.model.parameters(), before.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    fresh = Named()
    again = state_of(fresh, backbone_groups(fresh, layer_decay=layer_decay))
    again.load_state_dict(after.state_dict())  # what the resumed run saves is loaded likewise
    assert len(again.optimizer.param_groups) == len(before.optimizer.param_groups)
