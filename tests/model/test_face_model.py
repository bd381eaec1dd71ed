from __future__ import annotations

import copy
import re

import pytest
import torch
from support.fakes import SPEC, StagedBackbone, TinyBackbone
from timm.utils.model_ema import ModelEmaV3
from torch import nn

from metricface.errors import PluginError, RecipeError
from metricface.model.embedding_layer import EmbeddingLayer
from metricface.model.face_model import FaceModel


def frozen(stages: int) -> FaceModel:
    torch.manual_seed(0)
    model = FaceModel(StagedBackbone(), EmbeddingLayer(dim=4))
    model.freeze(stages)
    return model


def statistics(model: FaceModel) -> dict[str, torch.Tensor]:
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


@pytest.mark.parametrize("through", ["itself", "a copy", "a copy put back into training"])
def test_frozen_stages_get_no_gradient_and_keep_their_statistics_in_training(through: str) -> None:
    model = frozen(2)
    if through != "itself":
        model = copy.deepcopy(model.eval() if "back" in through else model)
    model.train()
    before = statistics(model)
    model(torch.randn(8, 3, 8, 8)).square().sum().backward()
    changed = {name.rpartition(".")[0] for name, buffer in statistics(model).items() if not before[name].equal(buffer)}
    assert changed == {"backbone.top.1", "embedding.1"}
    trained = {name.split(".")[1] for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert trained == {"top", "0", "1"}
    assert not any(module.training for module in (*model.backbone.stem.modules(), *model.backbone.middle.modules()))
    assert model.training
    assert model.backbone.top.training
    assert model.embedding.training


def test_nothing_frozen_changes_nothing() -> None:
    model = FaceModel(TinyBackbone(), EmbeddingLayer(dim=4))  # it has no stages, and needs none
    model.freeze(0)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(module.training for module in model.train().modules())


def test_a_whole_frozen_backbone_is_in_evaluation_mode_whole() -> None:
    model = frozen(3).train()
    assert not any(module.training for module in model.backbone.modules())
    assert all(module.training for module in model.embedding.modules())


def test_an_average_keeps_frozen_stages_to_the_bit() -> None:
    model = frozen(2)
    average = ModelEmaV3(model, decay=0.9)
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    for step in range(5):
        with torch.no_grad():
            model.backbone.top[0].weight.add_(0.1)
        model.train()(torch.randn(8, 3, 8, 8))
        average.update(model, step=step)
    after = average.module.backbone.state_dict()
    assert {name for name in after if not after[name].equal(before[name])} == {
        "top.0.weight",
        "top.1.running_mean",
        "top.1.running_var",
        "top.1.num_batches_tracked",
    }


def test_stages_that_are_not_there_are_refused_with_the_way_out() -> None:
    message = "train.frozen_stages: the backbone has 3 stages (got 4). Take 0 to 3; with 3 all of it is frozen."
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        frozen(4)
    message = (
        "train.frozen_stages: this backbone does not say what its stages are. Take train.frozen_stages out, use "
        "another backbone, or give this one a parameter_stages() (see metricface/contracts/data.py)."
    )
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        FaceModel(TinyBackbone()).freeze(1)


def test_a_plugin_that_names_what_it_lacks_is_told() -> None:
    backbone = StagedBackbone()
    backbone.parameter_stages = lambda: [["stem.0.weight", "stem.0.scale"]]
    with pytest.raises(PluginError) as caught:
        FaceModel(backbone).freeze(1)
    assert str(caught.value) == (
        "StagedBackbone.parameter_stages: no parameters of the backbone: stem.0.scale. "
        "Give the names of named_parameters()."
    )


def test_a_mirrored_model_gives_a_photo_and_its_mirror_image_one_embedding() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 6))
    network.feature_dim, network.input_spec = 6, SPEC
    plain, mirrored = (
        FaceModel(network, EmbeddingLayer(dim=5)).eval(),
        FaceModel(network, EmbeddingLayer(dim=5, mirror=True)).eval(),
    )
    mirrored.load_state_dict(plain.state_dict())
    images = torch.randn(3, 3, 8, 8)
    expected = (plain(images) + plain(images.flip(-1))) / 2
    assert torch.allclose(mirrored(images), expected, atol=1e-6)
    assert torch.allclose(mirrored(images), mirrored(images.flip(-1)), atol=1e-6)
    assert not torch.allclose(plain(images), plain(images.flip(-1)), atol=1e-3)
    assert torch.equal(mirrored.train()(images), plain.train()(images))


def test_a_zoomed_model_embeds_the_middle_too() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 6))
    network.feature_dim, network.input_spec = 6, SPEC
    plain, zoomed = (
        FaceModel(network, EmbeddingLayer(dim=5, zoom=zoom, mirror=mirror)).eval()
        for zoom, mirror in ((1.0, False), (0.5, True))
    )
    zoomed.load_state_dict(plain.state_dict())
    images = torch.randn(3, 3, 8, 8)
    middle = nn.functional.interpolate(images[:, :, 2:6, 2:6], scale_factor=2, mode="bilinear")
    views = (images, images.flip(-1), middle, middle.flip(-1))
    assert torch.allclose(zoomed(images), sum(map(plain, views)) / 4, atol=1e-6)
    assert not torch.allclose(plain(images), plain(middle), atol=1e-3)


def test_a_projection_is_for_training_alone() -> None:
    torch.manual_seed(0)
    model = FaceModel(TinyBackbone(dropout=0.0), EmbeddingLayer(dim=3, projection=True))
    images = torch.randn(64, 3, 8, 8)
    trained = model.train()(images)
    assert trained.shape == (64, 3) == (64, model.embedding_dim)
    for _ in range(200):
        model(images)  # the running statistics settle
    features = model.backbone(images)
    standardised = (features - features.mean(dim=0)) / features.std(dim=0)
    assert torch.allclose(
        model.eval()(images), standardised, atol=0.02
    )  # batch normalisation adds 1e-5 to the variances
    trained.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
