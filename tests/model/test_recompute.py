from __future__ import annotations

import copy
import re
from collections.abc import Callable

import pytest
import torch
from support.fakes import SPEC, TinyBackbone, same_tensors
from torch import Tensor, nn

from metricface.components.backbones.iresnet import IResNet
from metricface.components.backbones.timm import TimmBackbone
from metricface.errors import RecipeError
from metricface.model.embedding_layer import EmbeddingLayer
from metricface.model.face_model import FaceModel
from metricface.model.recompute import blocks_of


class Block(nn.Module):
    """Two layers, batch normalisation and dropout around a shortcut."""

    def __init__(self, momentum: float | None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4, momentum=momentum)
        self.dropout = nn.Dropout(0.3)

    def forward(self, images: Tensor) -> Tensor:
        return images + self.dropout(self.norm(self.conv(images)).relu())


class Deep(nn.Module):
    feature_dim = 4
    input_spec = SPEC

    def __init__(self, momentum: float | None = 0.1) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.stages = nn.ModuleList([nn.Sequential(Block(momentum), Block(momentum)), nn.Sequential(Block(momentum))])

    def forward(self, images: Tensor) -> Tensor:
        features = self.stem(images)
        for stage in self.stages:
            features = stage(features)
        return features.mean(dim=(2, 3))


def trained(model: FaceModel, steps: int = 4) -> tuple[FaceModel, list[float]]:
    torch.manual_seed(1)
    optimizer = torch.optim.SGD(model.train().parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(steps):
        loss = (model(torch.randn(6, 3, 12, 12)) - torch.randn(6, 5)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("frozen", [False, True])
def test_training_is_the_same_to_the_bit(momentum: float | None, frozen: bool) -> None:
    torch.manual_seed(0)
    plain = FaceModel(Deep(momentum), EmbeddingLayer(dim=5))
    if frozen:
        plain.backbone.stages[0].requires_grad_(False)
    again = copy.deepcopy(plain)
    again.recompute()
    (plain, losses), (again, losses_again) = trained(plain), trained(again)
    assert losses == losses_again
    assert same_tensors(plain, again)
    assert again.backbone.stages[1][0].norm.num_batches_tracked == 4
    assert torch.equal(plain.eval()(torch.ones(2, 3, 12, 12)), again.eval()(torch.ones(2, 3, 12, 12)))


def kept(model: FaceModel) -> int:
    """Return the bytes that a forward pass keeps for the gradient, parameters apart."""
    sizes: dict[int, int] = {}
    parameters = {parameter.data_ptr() for parameter in model.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in parameters:
            sizes[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model.train()(torch.randn(6, 3, 64, 64))
    del output
    return sum(sizes.values())


@pytest.mark.parametrize(
    "backbone",
    [lambda: TimmBackbone(model="resnet18", weights="random"), lambda: IResNet(depth=18, image_size=64)],
    ids=["timm", "iresnet"],
)
def test_much_less_is_kept_for_the_gradient(backbone: Callable[[], nn.Module]) -> None:
    model = FaceModel(backbone(), EmbeddingLayer(dim=5))
    assert len(blocks_of(model.backbone)) == 8
    before = kept(model)
    model.recompute()
    assert kept(model) < 0.6 * before
    assert all("forward" not in vars(module) for module in model.modules())  # as it was, after each pass


def test_a_backbone_without_blocks_is_refused_with_the_way_out() -> None:
    message = (
        "train.recompute: this backbone repeats no blocks (members of a Sequential or ModuleList with several "
        "layers of their own). Take train.recompute out, or use another backbone."
    )
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        FaceModel(TinyBackbone()).recompute()
