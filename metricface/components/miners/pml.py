"""Miners of pytorch-metric-learning by name."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor

from metricface.components import _pml as pml


class PmlMiner:
    """A miner of pytorch-metric-learning 2, with its own names and units.

    The names and what they take are listed below, under "miner". AngularMiner's `angle` is in degrees, as everywhere in
    that library. In a recipe:

        [miner]
        name = "pml"
        miner = "MultiSimilarityMiner"
        [miner.arguments]
        epsilon = 0.1
        distance = { name = "CosineSimilarity" }

    The library's default distance is the Euclidean one of unit vectors (LpDistance), and thresholds are in its unit.

    Args:
        miner: name of the class.
        arguments: its constructor's; a distance is a table with the `name` of its class and its arguments.

    Raises:
        RecipeError: there is no such miner, or it refuses its arguments.

    Source:
        https://kevinmusgrave.github.io/pytorch-metric-learning/miners/, which names the paper of each.
    """

    def __init__(self, *, miner: str, arguments: Annotated[dict[str, Any] | None, pml.MINERS] = None) -> None:
        self._name = miner
        self._miner = pml.make(pml.MINERS, miner, arguments or {}, where="miner pml")

    @torch.no_grad()
    def __call__(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Embeddings (B, D), labels (B,) -> (anchor, positive, negative) or (anchor, positive, anchor, negative).

        Each is (P,) int64, triplets of one P and pairs of two, and there may be none.

        Raises:
            TrainingError: the miner cannot work on this batch.
        """
        with torch.autocast(embeddings.device.type, enabled=False), pml.failures("miner pml", self._name, len(labels)):
            mined: tuple[Tensor, ...] = self._miner(embeddings.float(), labels)
        return mined
