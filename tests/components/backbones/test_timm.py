from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import timm
import torch
from pydantic import ValidationError
from safetensors.torch import save, save_file
from support.fakes import TinyBackbone

from metricface.components.backbones import timm as subject
from metricface.components.backbones.timm import TimmBackbone
from metricface.contracts import KINDS
from metricface.errors import ModelError, RecipeError
from metricface.model.embedding_layer import EmbeddingLayer
from metricface.model.face_model import FaceModel
from metricface.model.hub import Found, OutOfReach
from metricface.recipe.signature import arguments_model, validated
from metricface.training.parameters import backbone_groups

TINY = "test_resnet"  # half a million weights, a classifier named fc


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_config: dict[str, object]) -> Found:
        raise OutOfReach("ImageNet weights are on the moon")

    monkeypatch.setattr(subject, "find_pretrained", refuse)


@pytest.mark.parametrize(
    ("name", "features", "mean"),
    [
        ("resnet18", 512, 0.485),
        ("mobilenetv3_small_050", 1024, 0.485),  # more than its num_features
        ("convnext_atto", 320, 0.485),
        ("vit_tiny_patch16_224", 192, 0.5),  # made for 224 pixels
    ],
)
def test_features_of_small_photos(name, features, mean):
    backbone = TimmBackbone(model=name, weights="random").eval()
    assert backbone.feature_dim == features
    with torch.no_grad():
        assert backbone(torch.randn(2, 3, 112, 112)).shape == (2, features)
    assert backbone.input_spec.mean[0] == mean
    assert backbone.input_spec.image_size == 224
    assert backbone.trained_from == "random"
    assert backbone.notices == ("weights: random",)


def test_mean_and_std_of_the_recipe_go_before_the_models_own():
    spec = TimmBackbone(model="resnet10t", weights="random", mean=(0.5, 0.5, 0.5)).input_spec
    assert (spec.mean, spec.std) == ((0.5, 0.5, 0.5), (0.229, 0.224, 0.225))
    spec = TimmBackbone(model="vit_tiny_patch16_224", weights="random", std=(0.2, 0.3, 1.0)).input_spec
    assert (spec.mean, spec.std) == ((0.5, 0.5, 0.5), (0.2, 0.3, 1.0))


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"mean": [123.7, 116.3, 103.5]}, "less than or equal to 1"),
        ({"mean": [0.5, -0.1, 0.5]}, "greater than or equal to 0"),
        ({"std": [0.5, 0.0, 0.5]}, "greater than 0"),
        ({"std": [0.5, 0.5]}, "Field required"),
    ],
)
def test_a_mean_and_std_that_are_not_of_numbers_in_0_to_1_are_refused(table, problem):
    model = arguments_model(TimmBackbone, KINDS["backbone"])
    with pytest.raises(ValidationError, match=problem):
        validated(model, table)
    assert validated(model, {"mean": [0, 0.5, 1]})["mean"] == (0.0, 0.5, 1.0)


def test_a_transformer_at_another_size_is_timms_own_at_that_size():
    backbone = TimmBackbone(model="vit_tiny_patch16_224", weights="random").eval()
    weights = backbone.model.state_dict()
    peer = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=112).eval()
    peer.load_state_dict(timm.models.vision_transformer.checkpoint_filter_fn(dict(weights), peer))
    assert peer.pos_embed.shape != weights["pos_embed"].shape
    images = torch.randn(2, 3, 112, 112)
    with torch.no_grad():
        torch.testing.assert_close(backbone(images), peer(images), atol=1e-4, rtol=1e-4)


def test_further_arguments_go_to_timm():
    backbone = TimmBackbone(model="convnext_atto", weights="random", arguments={"drop_path_rate": 0.3})
    assert backbone.model.stages[-1].blocks[-1].drop_path.drop_prob == pytest.approx(0.3)
    windows = TimmBackbone(model="swin_tiny_patch4_window7_224", weights="random", arguments={"img_size": 112})
    assert windows.eval()(torch.zeros(1, 3, 112, 112)).shape == (1, 768)
    with pytest.raises(RecipeError) as caught:
        TimmBackbone(model=TINY, weights="random", arguments={"drop_pth": 0.3})
    assert str(caught.value) == (
        "backbone.arguments: test_resnet does not take them (ResNet.__init__() got an unexpected keyword argument "
        "'drop_pth'). Give it those of its class in timm, for instance drop_path_rate = 0.1."
    )
    with pytest.raises(RecipeError) as caught:
        TimmBackbone(model=TINY, weights="random", arguments={"checkpoint_path": "evil.pth"})
    assert str(caught.value) == "backbone.arguments: checkpoint_path is filled in by this backbone. Take it out."


def test_a_model_of_timms_own_is_stored_as_the_recipe_says_it():
    assert TimmBackbone(model=TINY, weights="random").stored_arguments() == {}


def test_the_usual_size_is_the_models_own_and_a_subclass_may_have_none():
    assert TimmBackbone.usual_image_size({"model": "vit_base_patch16_384"}) == 384
    assert TimmBackbone.usual_image_size({"weights": "random"}) is None
    with pytest.raises(RecipeError, match=r'no such model \(got "resnet81"\)'):
        TimmBackbone.usual_image_size({"model": "resnet81"})


def test_a_size_that_the_model_cannot_take_is_refused():
    with pytest.raises(RecipeError) as caught:
        TimmBackbone(model="mixer_s32_224", weights="random")(torch.zeros(1, 3, 112, 112))
    assert str(caught.value).startswith("data.image_size: this backbone takes no photos of 112 pixels (Input height")
    assert str(caught.value).endswith("It was made for 224.")


def test_a_size_is_refused_from_the_recipe_alone_as_the_model_would():
    mixer = {"model": "mixer_s32_224", "arguments": None}
    (refusal,) = TimmBackbone.size_refusals(mixer, 112).values()
    with pytest.raises(RecipeError) as caught:
        TimmBackbone(model="mixer_s32_224", weights="random")(torch.zeros(1, 3, 112, 112))
    assert str(caught.value) == f"data.image_size: {refusal}."
    assert TimmBackbone.size_refusals(mixer, 224) == {}
    vit = {"model": "vit_tiny_patch16_224", "arguments": None}
    assert "takes no photos of 65 pixels" in TimmBackbone.size_refusals(vit, 65)["image_size"]
    assert TimmBackbone.size_refusals(vit, 64) == {}
    assert TimmBackbone.size_refusals({"model": TINY, "arguments": None}, 65) == {}
    assert TimmBackbone.size_refusals({"model": "vit_tiny_patch16_224", "arguments": {"wrong": 1}}, 64) == {}


@pytest.mark.usefixtures("offline")
def test_if_available_falls_back_aloud():
    backbone = TimmBackbone(model=TINY)
    assert backbone.trained_from == "random"
    assert backbone.notices == ("weights: random (ImageNet weights are on the moon)",)


@pytest.mark.usefixtures("offline")
def test_imagenet_is_refused_with_the_way_out():
    with pytest.raises(ModelError) as caught:
        TimmBackbone(model=TINY, weights="imagenet")
    assert str(caught.value) == (
        "backbone.weights: ImageNet weights are on the moon. "
        "Get the file from https://huggingface.co/timm/test_resnet.r160_in1k and set backbone.weights to its path, "
        'or take "imagenet-if-available" or "random".'
    )


@pytest.mark.parametrize("word", ["imagenet", "imagenet-if-available"])
def test_published_weights_are_loaded_and_put_on_record(word, tmp_path, monkeypatch):
    published = timm.create_model(TINY)
    save_file(published.state_dict(), tmp_path / "model.safetensors")
    found = Found(tmp_path / "model.safetensors", "timm/test_resnet.r160_in1k@0123/model.safetensors")
    monkeypatch.setattr(subject, "find_pretrained", lambda config: found)
    backbone = TimmBackbone(model=TINY, weights=word)
    assert backbone.trained_from == found.source
    assert backbone.notices == (f"weights: {found.source}",)
    assert torch.equal(backbone.model.conv1[0].weight, published.conv1[0].weight)
    assert "state_dict" not in backbone.model.pretrained_cfg


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("classifier", [True, False])
def test_a_file_of_the_users(name, classifier, tmp_path):
    saved = timm.create_model(TINY, num_classes=7 if classifier else 0).eval()
    path = tmp_path / name
    save_file(saved.state_dict(), path) if path.suffix == ".safetensors" else torch.save(saved.state_dict(), path)
    backbone = TimmBackbone(model=TINY, weights=str(path)).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            backbone(images), saved.forward_head(saved.forward_features(images), pre_logits=True)
        )
    assert backbone.trained_from == str(path)


def test_a_file_of_another_model_is_refused(tmp_path):
    path = tmp_path / "deeper.safetensors"
    save_file(timm.create_model("resnet26", num_classes=0).state_dict(), path)
    with pytest.raises(ModelError, match="holds the weights of another model than resnet14t"):
        TimmBackbone(model="resnet14t", weights=str(path))
    # All that resnet18 has is in a resnet34, in the same shapes: half a network would load without a word.
    save_file(timm.create_model("resnet34", num_classes=0).state_dict(), path)
    with pytest.raises(ModelError) as caught:
        TimmBackbone(model="resnet18", weights=str(path))
    assert str(caught.value) == (
        f"backbone.weights: {path} holds the weights of another model than resnet18, of another depth (96 "
        "unknown: layer1.2.bn1.bias (64,), layer1.2.bn1.num_batches_tracked (), layer1.2.bn1.running_mean (64,), ...). "
        "Set backbone.model to the one it was saved from."
    )


def test_a_file_from_before_batch_counts_is_taken(tmp_path):
    state = timm.create_model(TINY, num_classes=0).state_dict()
    path = tmp_path / "old.pth"
    torch.save({name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}, path)
    backbone = TimmBackbone(model=TINY, weights=str(path))
    assert torch.equal(backbone.model.conv1[0].weight, state["conv1.0.weight"])


def test_unknown_names_get_their_nearest():
    with pytest.raises(RecipeError) as caught:
        TimmBackbone(model="resnet81", weights="random")
    assert str(caught.value).startswith(
        f'backbone.model: timm {timm.__version__} has no such model (got "resnet81"). Nearest: resnet18, '
    )
    with pytest.raises(RecipeError, match=r'got "resnet18.a1_in"\)\. Nearest: resnet18\.a1_in1k'):
        TimmBackbone(model="resnet18.a1_in", weights="random")
    with pytest.raises(RecipeError) as caught:
        TimmBackbone(weights="imagnet")
    assert str(caught.value) == (
        'backbone.weights: no such path, and no word for one (got "imagnet"). Did you mean "imagenet"? '
        'Words: "imagenet", "imagenet-if-available", "random"; or the path of a .safetensors or .pth file, '
        "or of a run folder."
    )


def test_the_stages_are_those_of_timm_and_hold_every_parameter():
    backbone = TimmBackbone(model="resnet18", weights="random")
    stages = backbone.parameter_stages()
    assert stages[0] == ("model.conv1.weight", "model.bn1.weight", "model.bn1.bias")
    assert [{name.split(".")[1] for name in stage} for stage in stages[1:]] == [
        {"layer1"},
        {"layer2"},
        {"layer3"},
        {"layer4"},
    ]
    assert {name for stage in stages for name in stage} == {name for name, _ in backbone.named_parameters()}


@pytest.mark.parametrize(
    ("name", "count"),
    [("vit_tiny_patch16_224", 13), ("convnext_atto", 5), ("mobilenetv3_small_050", 7)],
)
def test_stages_can_be_frozen_and_slowed_down_in_every_family(name, count):
    model = FaceModel(TimmBackbone(model=name, weights="random"), EmbeddingLayer(dim=8))
    stages = model.backbone.parameter_stages()
    assert len(stages) == count
    listed = [parameter for stage in stages for parameter in stage]
    assert sorted(listed) == sorted(name for name, _ in model.backbone.named_parameters())
    scales = {group["lr_scale"] for group in backbone_groups(model.backbone, layer_decay=0.5)}
    assert scales == {0.5**depth for depth in range(count)}
    model.freeze(count - 1)
    trained = {name for name, parameter in model.backbone.named_parameters() if parameter.requires_grad}
    assert trained == set(stages[-1])
    model.train()(torch.randn(2, 3, 64, 64)).sum().backward()
    assert all((parameter.grad is not None) == parameter.requires_grad for parameter in model.parameters())


def test_what_timm_sorts_nowhere_belongs_to_the_last_stage():
    stages = TimmBackbone(model="convnext_atto", weights="random").parameter_stages()
    assert len(stages) == 5
    assert "model.stages.3.blocks.0.conv_dw.weight" in stages[-1]
    assert "model.head.norm.weight" in stages[-1]


@pytest.mark.parametrize("name", ["pit_ti_224", "rdnet_tiny"])  # no groups at all; fine groups only
def test_a_model_without_stages_has_none(name):
    assert TimmBackbone(model=name, weights="random").parameter_stages() == ()


def write_model(folder: Path, model: FaceModel, **backbone: str) -> Path:
    """Write a model folder as a run does, with what reading its weights needs."""
    folder.mkdir(parents=True)
    weights = save(model.state_dict())
    (folder / "model.safetensors").write_bytes(weights)
    description = {
        "format": 1,
        "backbone": {**backbone, "arguments": {}},
        "embedding_dim": None,
        "transform": {"image_size": 32, "mean": [0.5] * 3, "std": [0.5] * 3},
        "labels": [],
        "evaluate": [],
        "data": {"name": "identity-folder", "arguments": {}, "root": "photos"},
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    (folder / "model.json").write_text(json.dumps(description))
    return folder


@pytest.mark.parametrize("named", ["run", "run/model", "run/model/model.safetensors"])
def test_a_model_of_ones_own_is_trained_further(named, tmp_path):
    model = FaceModel(TimmBackbone(model=TINY, weights="random"), EmbeddingLayer(dim=16))
    folder = write_model(tmp_path / "run" / "model", model, name="timm")
    backbone = TimmBackbone(model=TINY, weights=str(tmp_path / named))
    assert all(torch.equal(backbone.state_dict()[name], value) for name, value in model.backbone.state_dict().items())
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert backbone.trained_from == str(tmp_path / named)
    assert backbone.notices == (f"weights: {tmp_path / named} (fine-tuned from model {digest[:12]} of backbone timm)",)


def test_a_model_of_ones_own_with_another_architecture_is_refused(tmp_path):
    write_model(tmp_path / "model", FaceModel(TimmBackbone(model="resnet10t", weights="random")), name="timm")
    with pytest.raises(
        ModelError,
        match=r"model holds the weights of another model than test_resnet, of another depth .* Set backbone\.m",
    ):
        TimmBackbone(model=TINY, weights=str(tmp_path / "model"))
    write_model(tmp_path / "other", FaceModel(TinyBackbone()), name="lite")
    with pytest.raises(ModelError) as caught:
        TimmBackbone(model=TINY, weights=str(tmp_path / "other"))
    assert str(caught.value).startswith(
        f"backbone.weights: {tmp_path / 'other'} holds no model of timm or torchvision (model "
    )
    assert str(caught.value).endswith(" of backbone lite). Set backbone.name to 'lite', or name another folder.")


def test_folders_without_a_whole_model_are_refused(tmp_path):
    with pytest.raises(
        ModelError, match=r"^backbone\.weights: .*: no model here \(no model\.json\)\. Name a run folder"
    ):
        TimmBackbone(model=TINY, weights=str(tmp_path))
    folder = write_model(tmp_path / "model", FaceModel(TinyBackbone()), name="timm")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    with pytest.raises(
        ModelError, match=r"^backbone\.weights: .*is not the file that model\.json describes\. Copy both"
    ):
        TimmBackbone(model=TINY, weights=str(folder))
    (folder / "model.json").write_text('{"format": 1}')
    with pytest.raises(ModelError, match=r"not a readable model \(model\.json: sha256 is missing\)\. Train or"):
        TimmBackbone(model=TINY, weights=str(folder))
