"""Models that a repository on the hub describes, from a cache written as timm and the hub's client write it."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from support.task_b_tree import RECIPE, make_tree, write_recipe
from timm.models._hub import save_for_hf
from torch import nn

from metricface.build.experiment import build_experiment
from metricface.build.model_folder import load_model, save_model
from metricface.components.backbones.timm import TimmBackbone
from metricface.components.registry import installed_registries
from metricface.contracts import Silent
from metricface.errors import ModelError, RecipeError
from metricface.model import hub
from metricface.recipe.load import load_recipe

KNOWN = installed_registries()
COMMIT = "0123456789abcdef0123"
WAY_OUT = (
    "Run it once where the hub can be reached (the cache then keeps it), "
    "or take a model that timm has by name and set backbone.weights to a file."
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a network that must not be asked."""

    def no_network() -> bool:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(hub, "hub_answers", no_network)
    return tmp_path / "hub"


def put(cache: Path, network: nn.Module, **config: Any) -> Path:
    """Write a repository mf/face into the cache; return the folder of its files."""
    repository = cache / "models--mf--face"
    files = repository / "snapshots" / COMMIT
    save_for_hf(network, files, model_config={"pretrained_cfg": config}, safe_serialization=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return files


@pytest.mark.parametrize("prefix", ["hf_hub:", "hf-hub:"])
def test_architecture_weights_and_normalisation_are_those_of_the_repository(prefix: str, cache: Path) -> None:
    network = timm.create_model("test_resnet", num_classes=7).eval()
    put(cache, network, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), input_size=(3, 64, 64))
    backbone = TimmBackbone(model=f"{prefix}mf/face").eval()
    assert backbone.trained_from == "mf/face@0123456789ab/model.safetensors"
    assert backbone.notices == ("weights: mf/face@0123456789ab/model.safetensors",)
    assert backbone.input_spec.mean == (0.1, 0.2, 0.3)
    assert backbone.input_spec.std == (0.4, 0.5, 0.6)
    assert backbone.input_spec.image_size == TimmBackbone.usual_image_size({"model": "hf_hub:mf/face"}) == 64
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = network.forward_head(network.forward_features(images), pre_logits=True)
        torch.testing.assert_close(backbone(images), expected)


def test_a_transformer_keeps_the_grid_that_its_repository_has_and_takes_other_sizes(cache: Path) -> None:
    network = timm.create_model("test_vit", img_size=64).eval()
    put(cache, network)
    backbone = TimmBackbone(model="hf_hub:mf/face").eval()
    assert backbone.model.pos_embed.shape == network.pos_embed.shape
    assert backbone.input_spec.image_size == 64
    with torch.no_grad():
        images = torch.randn(2, 3, 64, 64)
        torch.testing.assert_close(
            backbone(images), network.forward_head(network.forward_features(images), pre_logits=True)
        )
        assert backbone(torch.randn(2, 3, 96, 96)).shape == (2, backbone.feature_dim)
    again = TimmBackbone(**{**backbone.stored_arguments(), "weights": "random"})
    assert again.model.pos_embed.shape == network.pos_embed.shape


def test_the_older_form_of_a_description_is_read(cache: Path) -> None:
    files = put(cache, timm.create_model("test_resnet"))
    described = json.loads((files / "config.json").read_text())
    older = {**described["pretrained_cfg"], "architecture": "test_resnet", "num_features": 9, "mean": [0.25] * 3}
    (files / "config.json").write_text(json.dumps(older))
    assert TimmBackbone(model="hf_hub:mf/face").input_spec.mean == (0.25,) * 3


def test_a_trained_model_needs_the_hub_no_more(cache: Path, tmp_path: Path) -> None:
    network = timm.create_model("test_vit", img_size=32)
    put(cache, network, mean=(0.1, 0.2, 0.3))
    text = RECIPE.replace('"test_resnet"\nweights = "random"', '"hf_hub:mf/face"').replace("image_size = 32\n", "")
    recipe = write_recipe(tmp_path, make_tree(tmp_path / "tree"), text)
    experiment = build_experiment(load_recipe(recipe, (), KNOWN), KNOWN, Silent())
    assert "weights: mf/face@0123456789ab/model.safetensors" in experiment.notices
    save_model(tmp_path / "model", experiment, {}, {})
    described = json.loads((tmp_path / "model" / "model.json").read_text())
    assert described["transform"]["image_size"] == 32
    assert described["transform"]["mean"] == [0.1, 0.2, 0.3]
    assert described["backbone"]["arguments"] == {
        "model": "test_vit",
        "weights": "mf/face@0123456789ab/model.safetensors",
        "mean": [0.1, 0.2, 0.3],
        "std": [0.5, 0.5, 0.5],
        "arguments": {"img_size": [32, 32], "global_pool": "token"},
    }
    shutil.rmtree(cache)
    loaded = load_model(tmp_path / "model", KNOWN)
    assert loaded.model.backbone.model.pos_embed.shape == network.pos_embed.shape
    assert loaded.model.input_spec.mean == (0.1, 0.2, 0.3)
    stored = load_file(tmp_path / "model" / "model.safetensors")
    assert all(torch.equal(value, stored[name]) for name, value in loaded.model.state_dict().items())


@pytest.mark.usefixtures("cache")
def test_without_cache_and_network_it_is_refused_at_once_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "hub_answers", lambda: False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: pytest.fail("it tried to download"))
    with pytest.raises(ModelError) as caught:
        TimmBackbone(model="hf_hub:mf/face")
    missing = "backbone.model: the config.json of hf_hub:mf/face is not in the cache and "
    assert str(caught.value) == f"{missing}the hub cannot be reached. {WAY_OUT}"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError) as caught:
        TimmBackbone(model="hf_hub:mf/face", weights="random")
    assert str(caught.value) == f"{missing}HF_HUB_OFFLINE is set. {WAY_OUT}"


def test_weights_that_are_not_in_the_cache_are_random_only_where_that_was_asked_for(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (put(cache, timm.create_model("test_resnet")) / "model.safetensors").unlink()
    monkeypatch.setattr(hub, "hub_answers", lambda: False)
    why = "the weights of hf_hub:mf/face are not in the cache and the hub cannot be reached"
    assert TimmBackbone(model="hf_hub:mf/face").notices == (f"weights: random ({why})",)
    with pytest.raises(ModelError) as caught:
        TimmBackbone(model="hf_hub:mf/face", weights="imagenet")
    assert str(caught.value).startswith(f"backbone.weights: {why}. Get the file from https://huggingface.co/mf/face ")


def test_weights_of_another_network_are_refused_and_none_is_executed(cache: Path) -> None:
    files = put(cache, timm.create_model("test_resnet"))
    save_file({"conv1.weight": torch.zeros(3)}, files / "model.safetensors")
    with pytest.raises(
        ModelError, match=r"names its tensors otherwise than test_resnet: 0 of \d+ names and 0 of \d+ shapes agree"
    ):
        TimmBackbone(model="hf_hub:mf/face")
    (files / "model.safetensors").unlink()
    (files / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Bomb()}, protocol=2))
    with pytest.raises(ModelError, match=r"pytorch_model\.bin cannot be read as weights"):
        TimmBackbone(model="hf_hub:mf/face")


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("the file was executed",))


@pytest.mark.parametrize("name", ["hf_hub:resnet18", "hf_hub:", "hf-hub:a/b/c", "hf_hub:a/b@"])
@pytest.mark.usefixtures("cache")
def test_what_is_no_name_on_the_hub_is_refused(name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        TimmBackbone(model=name)
    assert str(caught.value) == (f'backbone.model: a model on the hub is written "hf_hub:owner/name" (got "{name}").')


@pytest.mark.parametrize("text", ["{", "[]", '{"model_type": "bert"}', '{"architecture": "vit", "pretrained_cfg": 3}'])
def test_a_repository_that_timm_did_not_write_is_refused(text: str, cache: Path) -> None:
    (put(cache, timm.create_model("test_resnet")) / "config.json").write_text(text)
    with pytest.raises(ModelError) as caught:
        TimmBackbone(model="hf_hub:mf/face")
    assert str(caught.value) == (
        "backbone.model: hf_hub:mf/face is no model of timm (its config.json is not one of timm's). Name another."
    )


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"architecture": "resnet19"}, "(architecture 'resnet19', 3 colours; timm "),
        ({"architecture": "test_resnet", "input_size": [1, 64, 64]}, "(architecture 'test_resnet', 1 colours; timm "),
    ],
)
def test_a_network_that_cannot_be_made_here_is_refused(config: dict[str, Any], why: str, cache: Path) -> None:
    (put(cache, timm.create_model("test_resnet")) / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError) as caught:
        TimmBackbone(model="hf_hub:mf/face")
    assert str(caught.value).startswith(f"backbone.model: hf_hub:mf/face cannot be used here {why}")


def test_a_description_cannot_name_files_of_its_own(cache: Path, tmp_path: Path) -> None:
    files = put(cache, timm.create_model("test_resnet"))
    described = json.loads((files / "config.json").read_text())
    described["model_args"] = {"checkpoint_path": str(tmp_path / "evil.pth"), "num_classes": 3}
    described["pretrained_cfg"].update(file=str(tmp_path / "evil.pth"), url="https://example.org/evil.pth")
    (files / "config.json").write_text(json.dumps(described))
    backbone = TimmBackbone(model="hf_hub:mf/face")
    assert backbone.trained_from == "mf/face@0123456789ab/model.safetensors"
    assert backbone.stored_arguments()["arguments"] == {}
