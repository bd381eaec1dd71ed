"""Whitening of embeddings with the statistics of training."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

MOMENTUM = 0.01  # a tenth of batch normalisation's: a matrix takes more photos than a variance


class Whitening(nn.Module):
    """Take out of standardised features what goes together in them.

    Where many features say the same thing, a cosine counts it as often, and what tells two photos apart drowns in it.
    Training sees the features as they are; their covariance is averaged over its steps as batch normalisation averages
    its statistics. In evaluation mode features x become L^-1 x with L L^T = strength covariance + (1 - strength) I, so
    that the dot product of two photos is x^T (L L^T)^-1 y.

    Args:
        num_features: D.
        strength: 0 changes nothing; towards 1 every direction gets the same variance, those of noise too.

    Source:
        Jegou and Chum, "Negative evidences and co-occurences in image retrieval: the benefit of PCA and whitening",
        ECCV 2012; Cholesky's factor in place of their principal components gives the same dot products. Covariance
        shrunk towards the identity: Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
        matrices", 2004, where the strength is estimated.
    """

    covariance: Tensor
    factor: Tensor | None

    def __init__(self, num_features: int, strength: float) -> None:
        super().__init__()
        self.strength = strength
        self.register_buffer("covariance", torch.eye(num_features))
        self.register_buffer("factor", None, persistent=False)  # L, kept while the covariance stays as it is
        self.register_load_state_dict_post_hook(_forget)  # type: ignore[no-untyped-call]

    def train(self, mode: bool = True) -> Self:
        """Set the mode; an averaged model's covariance moves with no call to this module, so it starts afresh here."""
        self.factor = None
        return super().train(mode)

    def forward(self, features: Tensor) -> Tensor:
        """(B, D), of mean 0 and variance 1 in training -> (B, D), the same in training, whitened in evaluation mode."""
        if self.training:
            self._observe(features.float())
            return features
        if self.factor is None:
            identity = torch.eye(len(self.covariance), device=self.covariance.device)
            # a covariance that is not finite gives embeddings that are not, and evaluation says of which photo
            self.factor = torch.linalg.cholesky_ex(torch.lerp(identity, self.covariance, self.strength)).L
        whitened: Tensor = torch.linalg.solve_triangular(self.factor, features.float().T, upper=False).T
        return whitened

    @torch.no_grad()
    def _observe(self, features: Tensor) -> None:
        with torch.autocast(features.device.type, enabled=False):
            self.covariance.lerp_(features.T @ features / len(features), MOMENTUM)


def _forget(module: Whitening, _: object) -> None:
    module.factor = None
