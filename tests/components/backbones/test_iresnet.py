from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from metricface.build import components as make
from metricface.components.backbones.iresnet import IResNet
from metricface.components.registry import Registry
from metricface.contracts import KINDS
from metricface.errors import ModelError, RecipeError
from metricface.model.face_model import FaceModel
from metricface.recipe.schema import ComponentSpec
from metricface.recipe.signature import arguments_model
from metricface.training.parameters import module_groups

# Units of each stage and millions of parameters, as the authors publish them for 112 pixels and 512 features.
PUBLISHED = {18: ((2, 2, 2, 2), 24.0), 34: ((3, 4, 6, 3), 34.1), 50: ((3, 4, 14, 3), 43.6), 100: ((3, 13, 30, 3), 65.2)}
WIDTHS = (64, 128, 256, 512)


def small(**more: object) -> IResNet:
    torch.manual_seed(0)
    return IResNet(**{"depth": 18, "feature_dim": 8, "image_size": 32, **more})


def counted(units: tuple[int, ...], features: int = 512, side: int = 7) -> int:
    """Count parameters from the paper's figure: every BN has 2 per channel, every PReLU 1, no convolution a bias."""
    total, before = 3 * 64 * 9 + 2 * 64 + 64, 64
    for width, count in zip(WIDTHS, units, strict=True):
        for number in range(count):
            total += 2 * before + 9 * before * width + 2 * width + width + 9 * width * width + 2 * width
            total += before * width + 2 * width if number == 0 else 0
            before = width
    return total + 2 * 512 + 512 * side * side * features + features + 2 * features


@pytest.mark.parametrize("depth", PUBLISHED)
def test_parameters_are_as_many_as_published(depth: int) -> None:
    units, millions = PUBLISHED[depth]
    with torch.device("meta"):
        found = sum(parameter.numel() for parameter in IResNet(depth=depth).parameters())
    assert found == counted(units)
    assert round(found / 1e6, 1) == millions


def batch_norm(maps: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    mean, var, weight, bias = (state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    shape = (1, -1) + (1,) * (maps.ndim - 2)
    return (maps - mean.view(shape)) / (var.view(shape) + 1e-5).sqrt() * weight.view(shape) + bias.view(shape)


def naive(images: Tensor, state: dict[str, Tensor]) -> Tensor:
    """The network of depth 18, written down layer by layer from the paper."""

    def prelu(maps: Tensor, name: str) -> Tensor:
        return torch.where(maps > 0, maps, maps * state[f"{name}.weight"].view(1, -1, 1, 1))

    maps = prelu(batch_norm(F.conv2d(images, state["conv1.weight"], padding=1), state, "bn1"), "prelu")
    for layer in (1, 2, 3, 4):
        for number, stride in ((0, 2), (1, 1)):
            unit = f"layer{layer}.{number}"
            inner = F.conv2d(batch_norm(maps, state, f"{unit}.bn1"), state[f"{unit}.conv1.weight"], padding=1)
            inner = prelu(batch_norm(inner, state, f"{unit}.bn2"), f"{unit}.prelu")
            inner = F.conv2d(inner, state[f"{unit}.conv2.weight"], stride=stride, padding=1)
            if stride == 2:
                maps = F.conv2d(maps, state[f"{unit}.downsample.0.weight"], stride=2)
                maps = batch_norm(maps, state, f"{unit}.downsample.1")
            maps = maps + batch_norm(inner, state, f"{unit}.bn3")
    flat = batch_norm(maps, state, "bn2").flatten(1)
    return batch_norm(flat @ state["fc.weight"].T + state["fc.bias"], state, "features")


def test_it_is_the_network_of_the_paper() -> None:
    backbone = small(image_size=48)
    for name, tensor in backbone.state_dict().items():  # no statistic, scale or slope is left at its first value
        if tensor.ndim == 1:
            tensor.copy_(torch.rand_like(tensor) + (0.5 if "var" in name else 0.0))
    images = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        expected = naive(images.double(), {name: value.double() for name, value in backbone.state_dict().items()})
        torch.testing.assert_close(backbone.eval().double()(images.double()), expected)


@pytest.mark.parametrize(("size", "side"), [(112, 7), (100, 7), (96, 6), (33, 3), (16, 1)])
def test_the_neck_is_made_for_the_size_of_the_photos(size: int, side: int) -> None:
    backbone = small(image_size=size).eval()
    assert backbone.fc.in_features == 512 * side * side
    assert backbone(torch.randn(1, 3, size, size)).shape == (1, backbone.feature_dim) == (1, 8)


def test_photos_of_another_size_are_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        small()(torch.zeros(2, 3, 40, 48))
    assert str(caught.value) == (
        "data.image_size: this backbone was made for photos of 32 x 32 pixels (got 48 x 40). "
        "Make one of the size that the photos have."
    )


def test_one_photo_is_embedded_but_cannot_be_trained_on() -> None:
    backbone = small()
    with pytest.raises(RecipeError) as caught:
        backbone(torch.zeros(1, 3, 32, 32))
    assert str(caught.value) == (
        "train.batch_size: this backbone ends in batch normalisation, which needs 2 photos or more in training "
        "(got 1). Take larger batches."
    )
    model = FaceModel(backbone)
    model.freeze(6)
    assert model.train()(torch.zeros(1, 3, 32, 32)).shape == (1, 8)


def test_every_parameter_learns_but_the_last_scale_and_only_weights_decay() -> None:
    backbone = small()
    backbone(torch.randn(4, 3, 32, 32)).square().mul(torch.rand(4, 8)).sum().backward()
    for name, parameter in backbone.named_parameters():
        assert (parameter.grad is None) == (name == "features.weight"), name
        assert parameter.grad is None or parameter.grad.abs().sum() > 0, name
    assert backbone.features.weight.eq(1).all()
    decaying, others = module_groups(backbone)
    assert len(decaying["params"]) == 1 + 4 * 5 + 1  # the stem, two units of two and a shortcut per stage, the neck
    assert others["weight_decay"] == 0.0
    assert all(
        parameter is not backbone.features.weight for group in (decaying, others) for parameter in group["params"]
    )


def test_dropout_is_of_training_alone() -> None:
    backbone = small(dropout=0.9)
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        assert not torch.equal(backbone(images), backbone(images))
        backbone.eval()
        assert torch.equal(backbone(images), backbone(images))


def test_the_stages_hold_every_parameter_once() -> None:
    stages = small().parameter_stages()
    assert [{name.split(".")[0] for name in stage} for stage in stages] == [
        {"conv1", "bn1", "prelu"},
        *({f"layer{number}"} for number in (1, 2, 3, 4)),
        {"bn2", "fc", "features"},
    ]
    assert sorted(name for stage in stages for name in stage) == sorted(name for name, _ in small().named_parameters())


def test_the_size_of_the_photos_is_filled_in() -> None:
    fields = arguments_model(IResNet, KINDS["backbone"]).model_fields
    assert list(fields) == ["depth", "feature_dim", "dropout", "weights"]
    spec = ComponentSpec("backbone", "iresnet", {"depth": 18, "feature_dim": 8})
    model = make.face_model({"backbone": Registry(KINDS["backbone"])}, spec, None, 48).eval()
    assert model(torch.zeros(1, 3, 48, 48)).shape == (1, 8)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_weights_of_a_file(name: str, tmp_path: Path) -> None:
    state = small().state_dict()
    path = tmp_path / name
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    torch.manual_seed(1)
    backbone = IResNet(depth=18, feature_dim=8, image_size=32, weights=str(path))
    assert all(torch.equal(value, state[key]) for key, value in backbone.state_dict().items())
    assert backbone.notices == (f"weights: {path}",)
    with pytest.raises(ModelError) as caught:
        small(image_size=48, weights=str(path))
    assert str(caught.value) == (
        f"backbone.weights: {path} holds the weights of another model than an iresnet of depth 18, of another "
        "width (1 of another shape: fc.weight (8, 2048) for (8, 4608)). Set backbone.depth and data.image_size "
        "as they were there."
    )


def test_weights_that_are_not_there_are_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        small(weights="imagenet")
    assert str(caught.value) == (
        'backbone.weights: no such path, and not "random" (got "imagenet"). '
        "Name a .safetensors or .pth file, or a run folder."
    )
