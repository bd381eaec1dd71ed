"""Weights as other programs save them: under a key, under a prefix, with a head beside them, or of another model."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from metricface.components.backbones.iresnet import IResNet
from metricface.components.backbones.timm import TimmBackbone
from metricface.errors import Interrupted, ModelError
from metricface.model.fitting import load_weights

State = dict[str, Tensor]
HEAD = {"head.weight": torch.ones(3, 2), "head.bias": torch.ones(3)}


def below(prefix: str, state: Mapping[str, Tensor]) -> State:
    return {prefix + name: tensor.clone() for name, tensor in state.items()}


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(7)
    found: State = TimmBackbone(model="test_resnet", weights="random").model.state_dict()
    return found


def wrapped(state: State) -> dict[str, tuple[Any, str]]:
    """Return name -> (what is saved, the remark)."""
    return {
        "plain": (state, ""),
        "lightning": (
            {"state_dict": {**below("model.", state), **HEAD}, "hyper_parameters": {"lr": 0.1}, "epoch": 3},
            "found under state_dict; without the prefix 'model.', 2 beside it left out: head.bias, head.weight",
        ),
        "model_state_dict": (
            {"epoch": 3, "model_state_dict": below("module.", state), "optimizer_state_dict": {"state": {}}},
            "found under model_state_dict; without the prefix 'module.'",
        ),
        "model": ({"model": below("backbone.", state)}, "found under model; without the prefix 'backbone.'"),
        "net": ({"net": state, "acc": 0.9}, "found under net"),
        "two": ({"model": {"state_dict": state}}, "found under model.state_dict"),
        "averaged": (
            {"state_dict": below("", {name: tensor * 0 for name, tensor in state.items()}), "state_dict_ema": state},
            "found under state_dict_ema",
        ),
        "compiled": (below("_orig_mod.", state), "without the prefix '_orig_mod.'"),
        "all": (
            below("module._orig_mod.model.encoder.", state),
            "without the prefix 'module._orig_mod.model.encoder.'",
        ),
        "odd": (
            {**below("trunk.v2.", state), "step": torch.tensor(3)},
            "without the prefix 'trunk.v2.', 1 beside it left out: step",
        ),
        "classifier": ({**below("model.", state), "model.fc.weight": torch.ones(9, 4)}, "without the prefix 'model.'"),
    }


@pytest.mark.parametrize("name", list(wrapped({})))
def test_what_wraps_a_model_is_taken_off_and_told(name: str, state: State, tmp_path: Path) -> None:
    saved, remark = wrapped(state)[name]
    path = tmp_path / "weights.pth"
    torch.save(saved, path)
    backbone = TimmBackbone(model="test_resnet", weights=str(path))
    assert all(torch.equal(tensor, state[key]) for key, tensor in backbone.model.state_dict().items())
    assert backbone.notices == (f"weights: {path}" + (f" ({remark})" if remark else ""),)


def test_a_model_file_of_ours_that_left_its_folder_is_read_too(state: State, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_file({**below("backbone.model.", state), "embedding.0.weight": torch.ones(2, 2)}, path)
    backbone = TimmBackbone(model="test_resnet", weights=str(path))
    assert all(torch.equal(tensor, state[key]) for key, tensor in backbone.model.state_dict().items())
    assert backbone.notices == (
        f"weights: {path} (without the prefix 'backbone.model.', 1 beside it left out: embedding.0.weight)",
    )


def test_an_iresnet_tells_it_too(tmp_path: Path) -> None:
    path = tmp_path / "arcface.pt"
    state = IResNet(depth=18, feature_dim=8, image_size=32).state_dict()
    torch.save({"state_dict": below("module.backbone.", state)}, path)
    backbone = IResNet(depth=18, feature_dim=8, image_size=32, weights=str(path))
    assert torch.equal(backbone.fc.weight, state["fc.weight"])
    assert backbone.notices == (f"weights: {path} (found under state_dict; without the prefix 'module.backbone.')",)


def refusal(saved: Any, tmp_path: Path) -> str:
    path = tmp_path / "weights.pth"
    torch.save(saved, path)
    with pytest.raises(ModelError) as caught:
        TimmBackbone(model="test_resnet", weights=str(path))
    text = str(caught.value)
    assert "\n" not in text
    return text.removeprefix(f"backbone.weights: {path} ")


def test_a_student_and_its_teacher_are_not_chosen_between(state: State, tmp_path: Path) -> None:
    assert refusal({**below("student.", state), **below("teacher.", state)}, tmp_path) == (
        "holds the model 2 times, under 'student.' and 'teacher.'. Save the one that is meant alone."
    )


@pytest.mark.parametrize(
    ("saved", "has"),
    [
        ({"student": {"w": torch.ones(1)}, "epoch": 3}, "keys: student, epoch"),
        ({"state_dict": {}}, "a dict"),
        ([torch.ones(1)], "a list"),
        (torch.ones(1), "a Tensor"),
    ],
)
def test_a_file_without_a_state_dict_says_where_it_was_looked_for(saved: Any, has: str, tmp_path: Path) -> None:
    assert refusal(saved, tmp_path) == (
        "holds no weights at its top, nor under state_dict_ema, model_ema, state_dict, model_state_dict, model, net, "
        f"network, backbone, encoder (got {has}). Save the state_dict of the model alone."
    )


def test_a_file_that_holds_itself_ends(tmp_path: Path) -> None:
    saved: dict[str, Any] = {}
    saved["model"] = saved
    assert refusal(saved, tmp_path).startswith("holds no weights at its top")


def test_objects_in_a_checkpoint_are_named_and_never_made(state: State, tmp_path: Path) -> None:
    saved = {"state_dict": state, "hyper_parameters": argparse.Namespace(lr=0.1)}
    assert refusal(saved, tmp_path) == (
        "cannot be read as weights (it also holds argparse.Namespace, and Python objects can run code). Where you "
        "trust it, save the state_dict alone: "
        'torch.save(torch.load(FILE, weights_only=False)["state_dict"], "weights.pth").'
    )


def test_another_naming_is_told_from_another_depth_and_another_width() -> None:
    network = nn.ModuleDict({"first": nn.Linear(2, 3), "second": nn.Linear(3, 4)})
    state = network.state_dict()
    config, path = {"architecture": "small"}, Path("w.pth")

    def said(given: Mapping[str, Tensor]) -> str:
        with pytest.raises(ModelError) as caught:
            load_weights(network, config, given, path, "Way out.")
        return str(caught.value).removeprefix("backbone.weights: w.pth ")

    assert said({"a.w": torch.ones(3, 2), "a.b": torch.ones(3), "b.w": torch.ones(4, 3), "b.b": torch.ones(4)}) == (
        "names its tensors otherwise than small: 0 of 4 names and 4 of 4 shapes agree (4 missing: first.bias (3,), "
        "first.weight (3, 2), second.bias (4,), ...; 4 unknown: a.b (3,), a.w (3, 2), b.b (4,), ...). "
        "Give the tensors the names of that model, or take the backbone that they were saved from."
    )
    deeper = {**state, "third.weight": torch.ones(5, 4)}
    assert said(below("net.", deeper)) == (
        "holds the weights of another model than small, of another depth (1 unknown: third.weight (5, 4)). Way out."
    )
    assert said({**state, "second.bias": torch.ones(9)}) == (
        "holds the weights of another model than small, of another width (1 of another shape: second.bias (9,) for "
        "(4,)). Way out."
    )
    assert load_weights(network, config, state, path) == ""


def test_a_file_larger_than_the_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"w": torch.ones(2**18)}, path)
    monkeypatch.setattr("metricface.model.folder.memory_size", lambda: 2**19)
    with pytest.raises(ModelError) as caught:
        TimmBackbone(model="test_resnet", weights=str(path))
    assert str(caught.value) == (
        "backbone.weights: weights.safetensors has 0.0 GiB, and this machine 0.0 GiB of memory. "
        "Copy it again if it should be smaller, or use a larger machine."
    )


def test_what_is_no_checkpoint_gets_no_advice_to_unpickle_it(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(bytes(1000))
    with pytest.raises(ModelError) as caught:
        TimmBackbone(model="test_resnet", weights=str(path))
    assert str(caught.value) == (
        f"backbone.weights: {path} cannot be read as weights (it is no checkpoint of torch, or a damaged one). "
        "Get it again, or save the state_dict of the model as .safetensors."
    )


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(ModelError, match=r"pipe\.pth is no file\. Name a \.safetensors"):
        TimmBackbone(model="test_resnet", weights=str(tmp_path / "pipe.pth"))


def test_an_interruption_is_no_damage(tmp_path: Path, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise Interrupted(15)

    torch.save(state, tmp_path / "weights.pth")
    monkeypatch.setattr(torch, "load", interrupted)
    with pytest.raises(Interrupted):
        TimmBackbone(model="test_resnet", weights=str(tmp_path / "weights.pth"))
