"""The model: a backbone and, where the recipe asks for one, an embedding layer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Self, cast

import torch
from torch import Tensor, nn

from metricface.contracts import Backbone, HasParameterStages, InputSpec
from metricface.contracts.returned import shown, wrong_return
from metricface.errors import PluginError, RecipeError
from metricface.model.embedding_layer import EmbeddingLayer
from metricface.model.recompute import blocks_of, recomputing
from metricface.model.views import views_of
from metricface.model.whitening import Whitening

_NAMED = 3


class FaceModel(nn.Module):
    """Images to embeddings. One module, so that EMA and DDP wrap one thing.

    Args:
        backbone: (B, 3, H, W) -> features (B, F), with `feature_dim` and `input_spec`.
        layer: linear without bias, then batch normalisation (the "E" option of ArcFace without dropout); None leaves
            the features as they are, and the embeddings have F numbers.

    With `layer.projection` the layer serves training alone: heads and losses see it, and evaluation sees the features
    before it, standardised by a batch normalisation without scale and shift, and whitened by `layer.whitening` (see
    Whitening). They keep more of what tells people apart whom training never saw; the embeddings then have F numbers.
    In evaluation mode the embedding is the mean over the views that `layer.mirror` and `layer.zoom` ask for (see
    views_of), at as many times the time.

    Source:
        arXiv 1801.07698 section 3.1 (embedding settings); the dropout before the layer is left out. The projection
        is that of SimCLR, arXiv 2002.05709 section 4.2, there with a hidden layer. The authors'
        code adds the mirror image's embedding likewise (eval/verification.py); the mean keeps the norm.
    """

    def __init__(self, backbone: Backbone, layer: EmbeddingLayer | None = None) -> None:
        super().__init__()
        features = self._features = backbone.feature_dim
        self.backbone = cast(nn.Module, backbone)
        self.input_spec: InputSpec = backbone.input_spec
        self.layer = layer
        self.embedding_dim = features
        self.neck: nn.Module = nn.Identity()
        self.whitening: nn.Module = nn.Identity()
        self.embedding: nn.Module = nn.Identity()
        if layer is not None:
            self.embedding_dim = layer.dim
            if layer.projection:
                self.neck = nn.BatchNorm1d(features, affine=False)
            if layer.whitening:
                self.whitening = Whitening(features, layer.whitening)
            self.embedding = nn.Sequential(nn.Linear(features, layer.dim, bias=False), nn.BatchNorm1d(layer.dim))
        self._frozen: tuple[str, ...] = ()
        self._recomputes = False

    @property
    def evaluated_dim(self) -> int:
        """D of the vectors that evaluation gives; that of the features where the layer is a projection."""
        return self._features if self.layer is not None and self.layer.projection else self.embedding_dim

    def freeze(self, stages: int) -> None:
        """Take the backbone's first stages out of training, for good.

        Their parameters get no gradient, and they stay in evaluation mode whatever `train()` is told: batch
        normalisation keeps its statistics there, dropout and stochastic depth do nothing.

        Args:
            stages: how many; the stem is the first. See HasParameterStages.

        Raises:
            RecipeError: the backbone names no stages, or fewer.
        """
        if stages == 0:
            return
        found = backbone_stages(self.backbone, "train.frozen_stages")
        if stages > len(found):
            raise RecipeError(
                f"train.frozen_stages: the backbone has {len(found)} stages (got {stages}). "
                f"Take 0 to {len(found)}; with {len(found)} all of it is frozen."
            )
        names = {name for stage in found[:stages] for name in stage}
        for name in names:
            self.backbone.get_parameter(name).requires_grad_(False)
        self._frozen = tuple(
            place
            for place, module in self.backbone.named_modules()
            if (own := {name for name, _ in module.named_parameters(prefix=place)}) and own <= names
        )
        self.train(self.training)

    def recompute(self) -> None:
        """Train in less memory and more time from now on, see recomputing.

        Raises:
            RecipeError: the backbone has no blocks that could be computed again one by one.
        """
        if not blocks_of(self.backbone):
            raise RecipeError(
                "train.recompute: this backbone repeats no blocks (members of a Sequential or ModuleList with several "
                "layers of their own). Take train.recompute out, or use another backbone."
            )
        self._recomputes = True

    def train(self, mode: bool = True) -> Self:
        """Set the training mode of all but the frozen stages, which stay in evaluation mode."""
        super().train(mode)
        for place in self._frozen:
            self.backbone.get_submodule(place).eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) float32, normalised with `input_spec` -> embeddings (B, D), not normalised."""
        views = [images]
        if self.layer is not None and not self.training:
            views = views_of(images, mirror=self.layer.mirror, zoom=self.layer.zoom)
        embeddings: Tensor = torch.stack([self._embed(view) for view in views]).mean(dim=0)
        return embeddings

    def _embed(self, images: Tensor) -> Tensor:
        recomputes = self._recomputes and self.training and torch.is_grad_enabled()
        with recomputing(self.backbone) if recomputes else nullcontext():
            given = self.backbone(images)
        wanted = (len(images), self.backbone.feature_dim)
        if not isinstance(given, Tensor) or given.shape != wanted:
            raise wrong_return(self.backbone, f"returned {shown(given)}, not features of shape {wanted}")
        features: Tensor = self.whitening(self.neck(given))
        if self.layer is not None and self.layer.projection and not self.training:
            return features
        embeddings: Tensor = self.embedding(features)
        return embeddings


def laid_out(model: FaceModel, device: torch.device) -> FaceModel:
    """Move a model to the device in the memory order that training and evaluation share, for equal roundings."""
    moved: FaceModel = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def backbone_stages(backbone: nn.Module, key: str) -> Sequence[Sequence[str]]:
    """Return the names of the backbone's parameters, stage by stage, for the recipe's `key` that needs them.

    Raises:
        RecipeError: the backbone names no stages. PluginError: it names parameters that it does not have.
    """
    stages = backbone.parameter_stages() if isinstance(backbone, HasParameterStages) else ()
    if not stages:
        raise RecipeError(
            f"{key}: this backbone does not say what its stages are. Take {key} out, use another backbone, "
            "or give this one a parameter_stages() (see metricface/contracts/data.py)."
        )
    own = {name for name, _ in backbone.named_parameters()}
    unknown = [name for stage in stages for name in stage if name not in own]
    if unknown:
        raise PluginError(
            f"{type(backbone).__name__}.parameter_stages: no parameters of the backbone: "
            f"{', '.join(unknown[:_NAMED])}{', ...' * (len(unknown) > _NAMED)}. Give the names of named_parameters()."
        )
    return stages
