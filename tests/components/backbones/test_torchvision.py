from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision.models as theirs
from safetensors.torch import save_file

from metricface.components.backbones import _torchvision_models as models
from metricface.components.backbones import torchvision as subject
from metricface.components.backbones.torchvision import TorchvisionBackbone
from metricface.errors import ModelError, RecipeError
from metricface.model.embedding_layer import EmbeddingLayer
from metricface.model.face_model import FaceModel
from metricface.model.hub import OutOfReach
from metricface.training.parameters import backbone_groups

TINY = "shufflenet_v2_x0_5"
VIT = "vit_b_32"


def small_vit(size: int) -> theirs.VisionTransformer:
    """A transformer of two small blocks in place of a large one."""
    return theirs.VisionTransformer(
        image_size=size, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch, and no network."""

    def refuse(_url: str, missing: str) -> None:
        raise OutOfReach(f"{missing} and the moon cannot be reached")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(subject, "download_address", refuse)
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def publish(cache: Path, model: str, weights: str = "DEFAULT", network: torch.nn.Module | None = None) -> Any:
    """Put a network of random weights where torch keeps a published one; return it."""
    network = (theirs.get_model(model, weights=None) if network is None else network).eval()
    url = theirs.get_model_weights(model)[weights].url
    torch.save(network.state_dict(), cache / url.rpartition("/")[2])
    return network


def before_the_last_layer(network: torch.nn.Module, layer: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What a network of torchvision gives to a layer of it."""
    found: list[torch.Tensor] = []
    with torch.no_grad(), layer.register_forward_pre_hook(lambda _module, given: found.append(given[0])):
        network(images)
    return found[0]


@pytest.mark.parametrize(
    ("name", "features", "layer"),
    [
        ("resnet18", 512, "fc"),
        ("mobilenet_v3_small", 1024, "classifier.3"),
        ("densenet121", 1024, "classifier"),
        ("squeezenet1_1", 512, "classifier.1"),
        ("googlenet", 1024, "fc"),
    ],
)
def test_features_are_what_the_classifier_of_the_library_would_get(name, features, layer, cache):
    if name == "googlenet":
        given = {"transform_input": True, "aux_logits": True, "init_weights": True}  # as torchvision makes it for them
        network = publish(cache, name, network=theirs.googlenet(weights=None, **given))
    else:
        network = publish(cache, name)
    backbone = TorchvisionBackbone(model=name, weights="imagenet", image_size=64).eval()
    assert backbone.feature_dim == features
    images = torch.randn(2, 3, 64, 64)
    expected = before_the_last_layer(network, network.get_submodule(layer), images)
    if name == "squeezenet1_1":
        expected = expected.relu().mean((2, 3))  # the rest of its classifier
    scale = expected.abs().max()  # tiny for some, whose weights are random
    with torch.no_grad():
        torch.testing.assert_close(backbone(images) / scale, expected / scale)
    assert backbone.notices == (f"weights: {theirs.get_model_weights(name)['DEFAULT'].url}",)


def test_the_densenets_that_are_published_have_other_names(cache):
    network = theirs.densenet121(weights=None).eval()
    old = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): it for name, it in network.state_dict().items()
    }
    torch.save(old, cache / theirs.DenseNet121_Weights.DEFAULT.url.rpartition("/")[2])
    backbone = TorchvisionBackbone(model="densenet121", weights="IMAGENET1K_V1", image_size=64)
    layer = "features.denseblock1.denselayer1.norm1.weight"
    assert torch.equal(backbone.model.get_parameter(layer), network.get_parameter(layer))


def test_every_name_of_weights_is_its_own_file_and_default_is_the_best(cache):
    publish(cache, "mobilenet_v2", "IMAGENET1K_V1")
    backbone = TorchvisionBackbone(model="mobilenet_v2", weights="IMAGENET1K_V1", image_size=32)
    assert backbone.trained_from.endswith("mobilenet_v2-b0353104.pth")
    with pytest.raises(ModelError, match=r"^backbone\.weights: the weights IMAGENET1K_V2 of mobilenet_v2 are not in "):
        TorchvisionBackbone(model="mobilenet_v2", weights="DEFAULT", image_size=32)


def test_without_cache_and_network_weights_are_refused_with_the_way_out_or_random_aloud(cache):
    url = theirs.get_model_weights(TINY)["DEFAULT"].url
    for weights in ("DEFAULT", "IMAGENET1K_V1", "imagenet"):
        with pytest.raises(ModelError) as caught:
            TorchvisionBackbone(model=TINY, weights=weights, image_size=32)
        assert str(caught.value) == (
            f"backbone.weights: the weights IMAGENET1K_V1 of {TINY} are not in the cache ({cache}) and the moon cannot "
            f"be reached. Get {url}, put it into {cache} or set backbone.weights to its path; "
            'or take "imagenet-if-available" or "random".'
        )
    backbone = TorchvisionBackbone(model=TINY, image_size=32)
    assert backbone.trained_from == "random"
    assert backbone.notices == (
        f"weights: random (the weights IMAGENET1K_V1 of {TINY} are not in the cache ({cache}) and the moon cannot "
        "be reached)",
    )


def test_nothing_but_tensors_is_read_of_a_published_file(cache):
    url = theirs.get_model_weights(TINY)["DEFAULT"].url
    torch.save({"fc.weight": Path("object")}, cache / url.rpartition("/")[2])
    with pytest.raises(ModelError, match=r"cannot be read as weights \(it also holds pathlib\.\w+, and Python objects"):
        TorchvisionBackbone(model=TINY, weights="DEFAULT", image_size=32)


def test_mean_and_std_are_those_of_the_weights_or_of_the_recipe():
    spec = TorchvisionBackbone(model=TINY, weights="random").input_spec
    assert (spec.mean, spec.std, spec.image_size) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 224)
    spec = TorchvisionBackbone(model=TINY, weights="random", mean=(0.5, 0.5, 0.5)).input_spec
    assert (spec.mean, spec.std) == ((0.5, 0.5, 0.5), (0.229, 0.224, 0.225))
    assert TorchvisionBackbone.usual_image_size({"model": "efficientnet_v2_l", "weights": "random"}) == 480
    assert TorchvisionBackbone.usual_image_size({"model": "vit_b_16", "weights": "IMAGENET1K_SWAG_E2E_V1"}) == 384
    assert TorchvisionBackbone.usual_image_size({"model": "vit_b_16", "weights": "DEFAULT"}) == 224
    assert TorchvisionBackbone.usual_image_size({"model": "resnet81", "weights": "DEFAULT"}) is None


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_file_of_the_users(name, prefix, tmp_path):
    saved = {prefix + key: tensor for key, tensor in theirs.get_model(TINY, num_classes=7).state_dict().items()}
    path = tmp_path / name
    save_file(saved, path) if path.suffix == ".safetensors" else torch.save(saved, path)
    backbone = TorchvisionBackbone(model=TINY, weights=str(path), image_size=32)
    assert torch.equal(backbone.model.conv1[0].weight, saved[f"{prefix}conv1.0.weight"])
    assert backbone.trained_from == str(path)
    with pytest.raises(
        ModelError, match="holds the weights of another model than shufflenet_v2_x1_0, of another width"
    ):
        TorchvisionBackbone(model="shufflenet_v2_x1_0", weights=str(path), image_size=32)


def test_a_transformer_is_made_for_the_size_and_its_position_embeddings_are_interpolated(cache, monkeypatch):
    monkeypatch.setattr(theirs, "get_model", lambda _name, weights, image_size: small_vit(image_size))
    published = publish(cache, VIT, network=small_vit(64))
    same = TorchvisionBackbone(model=VIT, weights="DEFAULT", image_size=64).eval()
    images = torch.randn(2, 3, 64, 64)
    expected = before_the_last_layer(published, published.heads.head, images)
    with torch.no_grad():
        torch.testing.assert_close(same(images), expected)
    smaller = TorchvisionBackbone(model=VIT, weights="DEFAULT", image_size=32).eval()
    assert smaller(images[:, :, ::2, ::2]).shape == (2, 16)
    grid = published.encoder.pos_embedding[:, 1:].reshape(1, 8, 8, 16)
    found = smaller.model.encoder.pos_embedding
    assert torch.equal(found[:, 0], published.encoder.pos_embedding[:, 0])
    torch.testing.assert_close(found[0, [1, 4, 13, 16]], grid[0, [0, 0, 7, 7], [0, 7, 0, 7]])  # corners stay
    assert smaller.no_weight_decay() == {"model.class_token", "model.encoder.pos_embedding"}
    published.encoder.pos_embedding = torch.nn.Parameter(torch.zeros(1, 7, 16))  # of no square
    publish(cache, VIT, network=published)
    with pytest.raises(ModelError, match=r"encoder\.pos_embedding \(1, 7, 16\) for \(1, 17, 16\)"):
        TorchvisionBackbone(model=VIT, weights="DEFAULT", image_size=32)
    with pytest.raises(RecipeError) as caught:
        smaller(images)
    assert str(caught.value) == (
        "data.image_size: vit_b_32 of torchvision takes no photos of 64 pixels (Wrong image height! Expected 32 but "
        "got 64!). It was made for 224."
    )


@pytest.mark.parametrize(
    ("model", "size", "reason"),
    [
        ("vit_b_32", 112, "Input shape indivisible by patch size!"),
        ("inception_v3", 64, "Calculated padded input size per channel: (2 x 2). Kernel size: (3 x 3). Kernel size "),
        ("maxvit_t", 112, "Input size (4, 4) of block 3 is not divisible by partition size 7. "),
    ],
)
def test_a_size_that_the_model_cannot_take_is_refused_before_anything_is_made(model, size, reason):
    refused = TorchvisionBackbone.size_refusals({"model": model}, size)
    assert list(refused) == ["image_size"]
    assert refused["image_size"].startswith(f"{model} of torchvision takes no photos of {size} pixels ({reason}")
    with pytest.raises(RecipeError) as caught:
        TorchvisionBackbone(model=model, weights="random", image_size=size)
    assert str(caught.value) == f"data.image_size: {refused['image_size']}."


@pytest.mark.parametrize("model", ["alexnet", "regnet_y_400mf", "swin_v2_t", "maxvit_t", "vit_b_16"])
def test_a_size_that_the_model_can_take_is_not_refused(model):
    assert TorchvisionBackbone.size_refusals({"model": model}, 224) == {}


def test_unknown_names_get_their_nearest():
    with pytest.raises(
        RecipeError, match=r"^backbone\.model: torchvision [\d.]+ has no such classification model \(got"
    ):
        TorchvisionBackbone(model="fcn_resnet50")  # of segmentation
    assert (
        'Did you mean "resnet18"? There are: alexnet, '
        in TorchvisionBackbone.refusals({"model": "resnet81", "weights": "random"}, 8)["model"]
    )
    with pytest.raises(RecipeError) as caught:
        TorchvisionBackbone(model=TINY, weights="DEFALT")
    assert str(caught.value) == (
        f'backbone.weights: no such path, and no weights of {TINY} in torchvision (got "DEFALT"). Did you mean '
        '"DEFAULT"? There are: IMAGENET1K_V1, DEFAULT, imagenet, imagenet-if-available, random; or the path of a '
        ".safetensors or .pth file, or of a run folder."
    )
    assert "IMAGENET1K_FEATURES" not in models.published("vgg16")  # with nothing but NaN in its classifier


@pytest.mark.parametrize(
    ("name", "count", "stem"),
    [
        ("resnet18", 5, {"conv1", "bn1"}),
        ("mobilenet_v3_small", 14, {"features"}),
        ("regnet_y_400mf", 5, {"stem"}),
        ("shufflenet_v2_x0_5", 5, {"conv1"}),
        ("vit_b_16", 13, {"class_token", "conv_proj", "encoder"}),
    ],
)
def test_stages_can_be_frozen_and_slowed_down_in_every_family(name, count, stem):
    model = FaceModel(TorchvisionBackbone(model=name, weights="random", image_size=64), EmbeddingLayer(dim=8))
    stages = model.backbone.parameter_stages()
    assert len(stages) == count
    assert {parameter.split(".")[1] for parameter in stages[0]} == stem
    assert [parameter for stage in stages for parameter in stage] == [it for it, _ in model.backbone.named_parameters()]
    scales = {group["lr_scale"] for group in backbone_groups(model.backbone, layer_decay=0.5)}
    assert scales == {0.5**depth for depth in range(count)}
    model.freeze(count - 1)
    model.train()(torch.randn(2, 3, 64, 64)).sum().backward()
    assert all((parameter.grad is not None) == parameter.requires_grad for parameter in model.parameters())
