"""Cross-batch memory of the loss `pml`, whose place in the queue survives a checkpoint."""

from __future__ import annotations

from typing import Any

from pytorch_metric_learning.losses import CrossBatchMemory
from pytorch_metric_learning.utils.loss_and_miner_utils import get_all_pairs_indices
from torch import Tensor, nn

from metricface.errors import RecipeError


class Memory(CrossBatchMemory):  # type: ignore[misc] # the library has no types
    """The library's CrossBatchMemory, with two deviations.

    The queue's position and whether it is full go into the state_dict, beside embeddings and labels: the library
    begins at the front again after a resume. And a photo is never its own positive, in a batch of one photo neither.

    Source:
        "Cross-Batch Memory for Embedding Learning", arXiv 1912.06798.
    """

    def __init__(self, loss: nn.Module, *, name: str, embedding_dim: int, size: int, miner: nn.Module | None) -> None:
        if name not in self.supported_losses():
            raise RecipeError(
                f"loss pml: {name} has no use for a memory (got memory_size {size}). "
                f"Set memory_size = 0, or take one of: {', '.join(self.supported_losses())}."
            )
        super().__init__(loss, embedding_dim, memory_size=size, miner=miner)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Embeddings (B, D) float32, labels (B,) -> scalar, over pairs with the memory and, in it, with the batch.

        Raises:
            RecipeError: the batch does not fit into the memory.
        """
        if len(embeddings) > self.memory_size:
            raise RecipeError(
                f"loss pml: a batch of {len(embeddings)} photos does not fit into the memory "
                f"(got memory_size {self.memory_size}). Raise memory_size to several batches."
            )
        loss: Tensor = super().forward(embeddings, labels)
        return loss

    def create_indices_tuple(self, embeddings: Tensor, labels: Tensor, *memory: Any) -> tuple[Tensor, ...]:
        """Return the pairs or triplets of the batch with the memory, less those of a photo with itself.

        Args:
            embeddings: (B, D) of the batch.
            labels: (B,) of the batch.
            memory: embeddings (N, D) and labels (N,) of the queue; the rest is not looked at.
        """
        vectors, queued = memory[:2]
        miner = self.miner
        pairs = get_all_pairs_indices(labels, queued) if miner is None else miner(embeddings, labels, vectors, queued)
        anchors, positives, *negatives = pairs
        other = self.curr_batch_idx[anchors] != positives  # photo i of the batch stands there in the queue
        if len(negatives) == 1:
            return anchors[other], positives[other], negatives[0][other]
        return anchors[other], positives[other], negatives[0], negatives[1]

    def get_extra_state(self) -> dict[str, Any]:
        """Return the place in the queue, for the state_dict."""
        return {"position": self.queue_idx, "full": self.has_been_filled}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take the place in the queue over from a state_dict."""
        self.queue_idx, self.has_been_filled = state["position"], state["full"]
