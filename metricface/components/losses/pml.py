"""Losses of pytorch-metric-learning by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn

from metricface.components import _pml as pml
from metricface.components.losses import _pml_trial
from metricface.components.losses._memory import Memory
from metricface.contracts import LossInput
from metricface.functional.labels import check_labels


class PmlLoss(nn.Module):
    """A loss of pytorch-metric-learning 2, with its own names, defaults and units.

    The names and what they take are listed below, under "loss". Margins are in that library's units: degrees, not
    radians, where the list says so. In a recipe:

        [[loss]]
        name = "pml"
        loss = "TripletMarginLoss"
        [loss.arguments]
        margin = 0.1
        distance = { name = "CosineSimilarity" }
        reducer = { name = "AvgNonZeroReducer" }
        embedding_regularizer = { name = "LpRegularizer" }

    Losses normalise where their distance does (most by default). Those with class weights own them in float32; they are
    trained and saved with the run, and do not go into the model folder. A miner's pairs go to the loss: pair losses see
    no other pairs, losses over classes weigh photos by how often they were mined. InstanceLoss, P2SGradLoss, PNPLoss,
    RankedListLoss and a loss with a memory do not look at them. HistogramLoss fails on photos of one embedding.
    MarginLoss has one beta for all people, learnt with `learn_beta`; `beta_per_class = true` gives it one for each.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, people of the train split.
        loss: name of the class.
        arguments: its constructor's; distances, reducers and regularizers are tables with the `name` of their class and
            its arguments. What MetricFace knows (num_classes, embedding_size) is filled in.
        memory_size: photos of the newest batches whose embeddings are kept to make pairs with, 0 for none. Goes with
            some of the pair losses (cross-batch memory).
        memory_miner: chooses among the pairs of the batch with the memory: a table with the `name` of a miner of
            that library and its arguments. All pairs without one.

    Raises:
        RecipeError: there is no such loss, or it refuses its arguments or the memory.

    Source:
        https://kevinmusgrave.github.io/pytorch-metric-learning/losses/, which names the paper of each. Deviations:
        SmoothAPLoss gets the batch sorted by label (it takes neighbours for one class), and NCALoss gives 0 where
        nobody has a positive (NaN there).
    """

    consumes: ClassVar[Literal["logits", "embeddings"]] = "embeddings"

    def __init__(
        self,
        *,
        embedding_dim: int,
        num_classes: int,
        loss: str,
        arguments: Annotated[dict[str, Any] | None, pml.LOSSES] = None,
        memory_size: Annotated[int, Ge(0)] = 0,
        memory_miner: Annotated[dict[str, Any] | None, pml.MEMORY_MINERS] = None,
    ) -> None:
        super().__init__()
        self._name, self._num_classes = loss, num_classes
        filled = {"num_classes": num_classes, "embedding_size": embedding_dim, "descriptors_dim": embedding_dim}
        self.loss = pml.make(pml.LOSSES, loss, arguments or {}, where="loss pml", **filled)
        self.register_load_state_dict_pre_hook(_betas_of_before)  # type: ignore[no-untyped-call]
        self._pairs = self.uses_pairs({"loss": loss, "memory_size": memory_size})
        if memory_size:
            miner = None if memory_miner is None else pml.make_named(pml.MEMORY_MINERS, memory_miner, where="loss pml")
            self.loss = Memory(self.loss, name=loss, embedding_dim=embedding_dim, size=memory_size, miner=miner)

    @staticmethod
    def uses_pairs(arguments: Mapping[str, Any]) -> bool:
        """Whether a miner's choice changes the loss; see Loss."""
        return arguments["loss"] not in pml.WITHOUT_PAIRS and not arguments["memory_size"]

    @staticmethod
    def cautions(arguments: Mapping[str, Any]) -> Sequence[str]:
        """Return why the loss would train nothing, found by trying it; see HasCautions."""
        return _pml_trial.cautions(arguments["loss"], arguments["arguments"] or {})

    def forward(self, given: LossInput) -> Tensor:
        """Embeddings (B, D), labels (B,) and, with a miner, `pairs` -> scalar float32.

        Raises:
            TrainingError: a label is none of the classes, or the loss cannot work on this batch.
            RecipeError: the batch does not fit into the memory.
        """
        check_labels(given.labels, self._num_classes, where="loss pml")
        embeddings, labels, pairs = given.embeddings.float(), given.labels, given.pairs if self._pairs else None
        if self._name == "SmoothAPLoss":
            order = labels.argsort(stable=True)
            embeddings, labels, place = embeddings[order], labels[order], order.argsort()
            pairs = None if pairs is None else tuple(place[indices] for indices in pairs)
        # Under autocast the library would cast its class weights down, in place.
        with torch.autocast(embeddings.device.type, enabled=False), pml.failures("loss pml", self._name, len(labels)):
            value: Tensor = self.loss(embeddings, labels, *(() if pairs is None else (pairs,)))
        if self._name in ("NCALoss", "ProxyNCALoss") and value.isnan() and embeddings.isfinite().all():
            return embeddings.sum() * 0  # a mean over no photo
        return value.reshape(())


def _betas_of_before(loss: nn.Module, saved: Mapping[str, Any], prefix: str, *_: object) -> None:
    """Make room for the betas of a checkpoint, which had one for each class before a recipe could ask for it."""
    for name, parameter in loss.named_parameters():
        theirs = saved.get(prefix + name)
        if name.endswith(".beta") and theirs is not None:
            parameter.data = parameter.data.new_empty(theirs.shape)
