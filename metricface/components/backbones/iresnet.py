"""The residual network of ArcFace, made for faces of 112 pixels."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from metricface.contracts import InputSpec
from metricface.errors import RecipeError
from metricface.model.fitting import load_weights
from metricface.model.pretrained import given_weights

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3)}
_CHANNELS = (64, 64, 128, 256, 512)  # of the stem and of the four stages


class IResNet(nn.Module):
    """The improved residual network of face recognition, with the neck BN-Dropout-FC-BN.

    The neck makes the embedding, so a recipe needs no [embedding]. Its fully connected layer is made for
    `data.image_size`.

    Args:
        depth: 18, 34, 50 or 100 layers: 24.0, 34.1, 43.6 or 65.2 million parameters at 112 pixels and 512 features.
        feature_dim: F, length of the embedding.
        dropout: share of the last feature map's numbers that are left out in training.
        weights: "random"; or a path: a .safetensors or .pth file in the names of the authors' PyTorch code, whose
            published files fit for 112 pixels, or a run folder or model folder of your own, trained further.
        image_size: side length of the photos in pixels.

    Attributes:
        feature_dim: as given.
        input_spec: mean and std 0.5, as in the authors' code.
        notices: where the weights come from, as a line for the user.

    Raises:
        RecipeError: `weights` is neither "random" nor a path.
        ModelError: the weights cannot be read, or belong to another model.

    Source:
        ArcFace, arXiv 1801.07698 section 3.1: the unit BN-Conv-BN-PReLU-Conv-BN, a first convolution of stride 1, and
        the neck with dropout 0.4. Names, initial values and the scale of the last BN, fixed at 1, are those of the
        authors' PyTorch code (recognition/arcface_torch/backbones/iresnet.py), whose dropout is 0 by default.
    """

    input_spec: ClassVar[InputSpec] = InputSpec((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 112)

    def __init__(
        self,
        *,
        depth: Literal[18, 34, 50, 100] = 50,
        feature_dim: Annotated[int, Gt(0)] = 512,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.4,
        weights: str = "random",
        image_size: Annotated[int, Ge(16)] = 112,
    ) -> None:
        super().__init__()
        self.feature_dim, self.image_size = feature_dim, image_size
        self.conv1 = _conv(3, 64)
        self.bn1, self.prelu = nn.BatchNorm2d(64), nn.PReLU(64)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            nn.Sequential(_Unit(before, channels, stride=2), *(_Unit(channels, channels) for _ in range(count - 1)))
            for (before, channels), count in zip(pairwise(_CHANNELS), _BLOCKS[depth], strict=True)
        )
        side = -(-image_size // 16)  # halved four times, rounded up
        self.bn2, self.dropout = nn.BatchNorm2d(512), nn.Dropout(dropout)
        self.fc = nn.Linear(512 * side * side, feature_dim)
        self.features = nn.BatchNorm1d(feature_dim)
        self.features.weight.requires_grad_(False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.1)
        self.notices = (f"weights: {self._load(weights, depth)}",)

    def parameter_stages(self) -> tuple[tuple[str, ...], ...]:
        """Return the parameters of the stem, the four stages of units, and the neck."""
        layers = [(f"layer{number}.",) for number in (1, 2, 3, 4)]
        stages = [("conv1.", "bn1.", "prelu."), *layers, ("bn2.", "fc.", "features.")]
        names = [name for name, _ in self.named_parameters()]
        return tuple(tuple(name for name in names if name.startswith(stage)) for stage in stages)

    @staticmethod
    def refusals(arguments: Mapping[str, Any], batch_size: int) -> Mapping[str, str]:
        """Return what is wrong with a batch of one photo; see HasRefusals."""
        del arguments
        refusal = {"batch_size": "1 is too few: the neck normalises over a batch. Take 2 or more"}
        return refusal if batch_size == 1 else {}

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W), H = W = image_size -> features (B, F).

        Raises:
            RecipeError: photos of another size, or a single one in training.
        """
        if images.shape[-2:] != (self.image_size, self.image_size):
            raise RecipeError(
                f"data.image_size: this backbone was made for photos of {self.image_size} x {self.image_size} pixels "
                f"(got {images.shape[-1]} x {images.shape[-2]}). Make one of the size that the photos have."
            )
        if len(images) == 1 and self.features.training:
            raise RecipeError(
                "train.batch_size: this backbone ends in batch normalisation, which needs 2 photos or more in training "
                "(got 1). Take larger batches."
            )
        maps: Tensor = self.prelu(self.bn1(self.conv1(images)))  # (B, 64, H, W)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps = layer(maps)
        maps = self.dropout(self.bn2(maps))  # (B, 512, H / 16, W / 16)
        features: Tensor = self.features(self.fc(maps.flatten(1)))
        return features

    def _load(self, weights: str, depth: int) -> str:
        """Fill the network; return where its weights come from."""
        if weights == "random":
            return weights
        path = Path(weights).expanduser()
        if not path.exists():
            raise RecipeError(
                f'backbone.weights: no such path, and not "random" (got "{weights}"). '
                "Name a .safetensors or .pth file, or a run folder."
            )
        given, remark = given_weights(path, "")
        network = {"architecture": f"an iresnet of depth {depth}"}
        left = load_weights(self, network, given, path, "Set backbone.depth and data.image_size as they were there.")
        remarks = "; ".join(filter(None, (remark, left)))
        return f"{weights} ({remarks})" if remarks else weights


class _Unit(nn.Module):
    """BN-Conv-BN-PReLU-Conv-BN beside the identity: (B, C, H, W) -> (B, channels, H / stride, W / stride)."""

    def __init__(self, before: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(before), _conv(before, channels)
        self.bn2, self.prelu = nn.BatchNorm2d(channels), nn.PReLU(channels)
        self.conv2, self.bn3 = _conv(channels, channels, stride), nn.BatchNorm2d(channels)
        self.downsample: nn.Module | None = None
        if stride != 1:
            shortcut = nn.Conv2d(before, channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels))

    def forward(self, maps: Tensor) -> Tensor:
        inner: Tensor = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(maps))))))
        return inner + (maps if self.downsample is None else self.downsample(maps))


def _conv(before: int, channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, channels, 3, stride, padding=1, bias=False)
