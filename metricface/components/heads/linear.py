"""Plain linear classification."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metricface.contracts import HeadOutput
from metricface.errors import RecipeError
from metricface.functional.labels import check_labels


class Linear(nn.Module):
    """Logits by a linear layer with bias, computed in float32 even under autocast.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, classes of the train split.
        binary: one logit for two classes: the log-odds of label 1.

    Raises:
        RecipeError: `binary` with another number of classes than two.
    """

    def __init__(self, *, embedding_dim: int, num_classes: int, binary: bool = False) -> None:
        super().__init__()
        if binary and num_classes != 2:
            raise RecipeError(
                f"head.binary: one logit tells two classes apart (got {num_classes} classes). Leave `binary` out."
            )
        self.num_classes = num_classes
        self.layer = nn.Linear(embedding_dim, 1 if binary else num_classes)

    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
        """Embeddings (B, D), labels (B,) -> logits (B, C), or (B, 1) when binary; targets are the labels.

        Raises:
            TrainingError: a label is none of the classes.
        """
        if labels is not None:
            check_labels(labels, self.num_classes)
        with torch.autocast(embeddings.device.type, enabled=False):
            logits: Tensor = self.layer(embeddings.float())  # (B, D) -> (B, C)
        return HeadOutput(logits, labels)
