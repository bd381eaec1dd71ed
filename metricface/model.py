"""The model: a backbone and, where the recipe asks for one, an embedding layer."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from metricface.contracts import Backbone, InputSpec


class FaceModel(nn.Module):
    """Images to embeddings. One module, so that EMA and DDP wrap one thing.

    Args:
        backbone: (B, 3, H, W) -> features (B, F), with `feature_dim` and `input_spec`.
        embedding_dim: D of the embedding layer (linear without bias, then batch normalisation: the "E" option of
            ArcFace without dropout); None leaves the features as they are, and D = F.

    Source:
        arXiv 1801.07698 section 3.1 (embedding settings); the dropout before the layer is left out.
    """

    def __init__(self, backbone: Backbone, embedding_dim: int | None = None) -> None:
        super().__init__()
        self.backbone = cast(nn.Module, backbone)
        self.input_spec: InputSpec = backbone.input_spec
        self.embedding_dim = embedding_dim or backbone.feature_dim
        self.embedding: nn.Module = nn.Identity()
        if embedding_dim is not None:
            self.embedding = nn.Sequential(
                nn.Linear(backbone.feature_dim, embedding_dim, bias=False), nn.BatchNorm1d(embedding_dim)
            )

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) float32, normalised with `input_spec` -> embeddings (B, D), not normalised."""
        embeddings: Tensor = self.embedding(self.backbone(images))
        return embeddings
