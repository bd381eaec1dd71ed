from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file

from metricface.backbones import timm as subject
from metricface.backbones.pretrained import Found, OutOfReach
from metricface.backbones.timm import TimmBackbone
from metricface.errors import ModelError, RecipeError

TINY = "test_resnet"  # half a million weights, a classifier named fc


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(config: dict[str, object]) -> Found:
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


def test_a_size_that_the_model_cannot_take_is_refused():
    with pytest.raises(RecipeError) as caught:
        TimmBackbone(model="mixer_s32_224", weights="random")(torch.zeros(1, 3, 112, 112))
    assert str(caught.value).startswith("data.image_size: this backbone takes no photos of 112 pixels (Input height")
    assert str(caught.value).endswith("It was made for 224.")


def test_if_available_falls_back_aloud(offline):
    backbone = TimmBackbone(model=TINY)
    assert backbone.trained_from == "random"
    assert backbone.notices == ("weights: random (ImageNet weights are on the moon)",)


def test_imagenet_is_refused_with_the_way_out(offline):
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
        f"backbone.weights: {path} holds the weights of another model than resnet18 (96 unknown: "
        "layer1.2.bn1.bias, layer1.2.bn1.num_batches_tracked, layer1.2.bn1.running_mean, ...). "
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
        'backbone.weights: no such file, and no word for one (got "imagnet"). Did you mean "imagenet"? '
        'Words: "imagenet", "imagenet-if-available", "random"; or the path of a .safetensors or .pth file.'
    )
