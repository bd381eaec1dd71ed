"""Losses, heads and miners of a plugin that look at which photo it is and at what happened to it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.fakes import PREPROCESSING, InOrder, MemoryDataset, TinyBackbone
from support.installed import install, installing
from torch import Tensor

from metricface.components.registry import Registry, installed_registries
from metricface.contracts import Batch, View, photo_facts_of
from metricface.data.loader import TrainLoader
from metricface.data.photos import Photos
from metricface.model.embedding_layer import EmbeddingLayer
from metricface.model.face_model import FaceModel
from metricface.testing import ConformanceError, check_head, check_loss
from metricface.training.parameters import parameter_groups
from metricface.training.state import LossTerm, TrainingState
from metricface.training.step import train_step

PLUGIN = '''
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from metricface.contracts import HeadOutput, LossInput
from metricface.functional.labels import check_labels
from metricface.functional.logits import logits_and_targets


class Distillation:
    """One minus the cosine to a teacher's embedding of the same photo, as a mean.

    Args:
        teacher: file of numpy with the teacher's embeddings (N, D), a row for each photo of the train split.
    """

    consumes: ClassVar = "embeddings"
    uses_pairs: ClassVar[bool] = False

    def __init__(self, *, teacher: Path) -> None:
        self.teacher = torch.from_numpy(np.load(teacher))

    def __call__(self, given: LossInput) -> Tensor:
        wanted = self.teacher.to(given.embeddings)[given.indices]  # (B, D)
        return (1 - F.cosine_similarity(given.embeddings, wanted)).mean()


class DistortedLess:
    """Cross-entropy in which distorted photos weigh another amount than clean ones, as a weighted mean.

    Args:
        distorted_weight: factor on a distorted photo; a clean one has 1.
    """

    consumes: ClassVar = "logits"

    def __init__(self, *, distorted_weight: Annotated[float, Ge(0)] = 0.5) -> None:
        self.distorted_weight = distorted_weight

    def __call__(self, given: LossInput) -> Tensor:
        logits, targets = logits_and_targets(given, loss="distorted-less", head='name = "linear"')
        check_labels(targets, logits.shape[1], where="loss")
        weights = torch.where(given.conditions == 0, 1.0, self.distorted_weight)  # (B,)
        values = F.cross_entropy(logits, targets, reduction="none")
        return (weights * values).sum() / weights.sum().clamp(min=1e-6)


class CleanMargin(nn.Module):
    """A linear layer whose logit of the right class is lowered for clean photos, which are the easy ones.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, classes of the train split.
        drop: how much it is lowered, in logits.
    """

    def __init__(self, *, embedding_dim: int, num_classes: int, drop: float = 1.0) -> None:
        super().__init__()
        self.num_classes, self.drop = num_classes, drop
        self.layer = nn.Linear(embedding_dim, num_classes)

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor | None = None,
        *,
        indices: Tensor | None = None,
        conditions: Tensor | None = None,
    ) -> HeadOutput:
        with torch.autocast(embeddings.device.type, enabled=False):
            logits = self.layer(embeddings.to(self.layer.weight.dtype))
        if labels is None:
            return HeadOutput(logits)
        check_labels(labels, self.num_classes)
        self.seen = indices.clone()
        return HeadOutput(logits - self.drop * (conditions == 0)[:, None] * F.one_hot(labels, self.num_classes), labels)


class AcrossConditions:
    """Pairs of one person under two conditions, and of two people."""

    def __call__(self, embeddings: Tensor, labels: Tensor, conditions: Tensor) -> tuple[Tensor, ...]:
        same = labels[:, None] == labels[None, :]
        positives = same & (conditions[:, None] != conditions[None, :])
        return (*positives.nonzero(as_tuple=True), *(~same).nonzero(as_tuple=True))
'''
PARTS = {
    "losses": {"distillation": "Distillation", "distorted-less": "DistortedLess"},
    "heads": {"clean-margin": "CleanMargin"},
    "miners": {"across-conditions": "AcrossConditions"},
}


@pytest.fixture
def registries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Registry]:
    points = {f"metricface.{kind}": {name: f"mf_facts:{it}" for name, it in it.items()} for kind, it in PARTS.items()}
    install(tmp_path / "site", "mf-facts", {"mf_facts": PLUGIN}, points)
    installing(monkeypatch, tmp_path / "site")
    monkeypatch.delitem(sys.modules, "mf_facts", raising=False)
    return installed_registries()


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    np.save(tmp_path / "teacher.npy", np.random.default_rng(5).normal(size=(24, 8)).astype(np.float32))
    return tmp_path / "teacher.npy"


class Darken:
    """A transform: half of the photos become dark."""

    makes = ("dark",)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        return View(view.image // 4, "dark", 3) if rng.random() < 0.5 else view


def make_loader() -> TrainLoader:
    return TrainLoader(
        Photos(MemoryDataset(), PREPROCESSING, 1 << 30), InOrder(24, 5), [Darken()], PREPROCESSING, batch_size=5, seed=7
    )


def make_state(head: Any, losses: dict[str, Any], miner: Any = None) -> TrainingState:
    torch.manual_seed(3)
    model = FaceModel(TinyBackbone(), EmbeddingLayer(dim=8))
    groups = parameter_groups(model.backbone, model.embedding, head)
    terms = tuple(LossTerm(name, loss) for name, loss in losses.items())
    return TrainingState(model, terms, torch.optim.SGD(groups, lr=0.1), head=head, miner=miner)


def steps(state: TrainingState) -> list[tuple[Batch, Tensor, dict[str, float]]]:
    """Train two epochs; return of every step the loader's batch, the embeddings and the losses."""
    embedded: list[Tensor] = []
    state.model.register_forward_hook(lambda model, given, found: embedded.append(found.detach().clone()))
    batches = [batch for epoch in (0, 1) for batch in make_loader().epoch(epoch)]
    losses = [train_step(state, batch).losses for epoch in (0, 1) for batch in make_loader().epoch(epoch)]
    return list(zip(batches, embedded, losses, strict=True))


def test_a_plugin_distils_a_teacher_by_the_index_of_each_photo(registries: dict[str, Registry], teacher: Path) -> None:
    found = registries["loss"].load("distillation")
    check_loss(found, teacher=teacher)
    wanted = np.load(teacher).astype(np.float64)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    state = make_state(None, {"distillation": found(teacher=teacher)})
    before = [parameter.detach().clone() for parameter in state.trained_parameters]
    done = steps(state)
    assert len(done) == 10
    assert not any(map(torch.equal, before, state.trained_parameters))
    for number, (batch, embeddings, losses) in enumerate(done):
        epoch, place = divmod(number, 5)
        rows = [(row + epoch) % 24 for row in range(24)][5 * place : 5 * place + 5]
        assert batch.indices.tolist() == rows
        ours = embeddings.double().numpy() / np.linalg.norm(embeddings.double().numpy(), axis=1, keepdims=True)
        assert losses["distillation"] == pytest.approx(float((1 - (ours * wanted[rows]).sum(1)).mean()), abs=1e-6)


def test_a_plugin_s_loss_and_head_know_the_condition_of_each_photo(registries: dict[str, Registry]) -> None:
    loss, head = registries["loss"].load("distorted-less"), registries["head"].load("clean-margin")
    check_loss(loss, distorted_weight=0.25)
    check_head(head, drop=2.0)
    torch.manual_seed(1)
    made = head(embedding_dim=8, num_classes=4, drop=2.0)
    state = make_state(made, {"distorted-less": loss(distorted_weight=0.25)})
    assert (state.head_asks, state.miner_asks) == (("conditions", "indices"), ())
    indices: list[Tensor] = []
    weights: list[tuple[Tensor, Tensor]] = []
    made.register_forward_pre_hook(
        lambda *_: weights.append((made.layer.weight.detach().clone(), made.layer.bias.detach().clone()))
    )
    made.register_forward_hook(lambda *_: indices.append(made.seen))
    conditions = set[int]()
    for number, (batch, embeddings, losses) in enumerate(steps(state)):
        conditions |= set(batch.conditions.tolist())
        assert torch.equal(indices[number], batch.indices)
        logits = F.linear(embeddings, *weights[number])
        total = weight = 0.0
        for row, (label, condition) in enumerate(zip(batch.labels.tolist(), batch.conditions.tolist(), strict=True)):
            lowered = logits[row].clone()
            lowered[label] -= 2.0 if condition == 0 else 0.0
            share = 1.0 if condition == 0 else 0.25
            total, weight = total - share * float(lowered.log_softmax(0)[label]), weight + share
        assert losses["distorted-less"] == pytest.approx(total / weight, abs=1e-5)
    assert conditions == {0, 1}


def test_a_plugin_s_miner_pairs_across_conditions(registries: dict[str, Registry]) -> None:
    given: list[Any] = []

    def loss(found: Any) -> Tensor:
        given.append(found)
        return found.embeddings.square().mean()

    state = make_state(None, {"any": loss}, registries["miner"].load("across-conditions")())
    assert state.miner_asks == ("conditions",)
    pairs = 0
    for (batch, _, _), found in zip(steps(state), given, strict=True):
        assert torch.equal(found.conditions, batch.conditions)
        anchors, positives, *_ = found.pairs
        expected = [
            (a, p)
            for a in range(len(batch.labels))
            for p in range(len(batch.labels))
            if batch.labels[a] == batch.labels[p] and batch.conditions[a] != batch.conditions[p]
        ]
        assert list(zip(anchors.tolist(), positives.tolist(), strict=True)) == expected
        pairs += len(expected)
    assert pairs > 0


def test_who_asks_for_what() -> None:
    def plain(embeddings: Tensor, labels: Tensor) -> None: ...

    def swallows(embeddings: Tensor, labels: Tensor, **more: Tensor) -> None: ...

    class Asks(torch.nn.Module):
        def forward(self, embeddings: Tensor, labels: Tensor | None = None, indices: Tensor | None = None) -> None: ...

    assert [photo_facts_of(part) for part in (None, plain, swallows, dict, Asks())] == [(), (), (), (), ("indices",)]


def test_a_head_that_cannot_do_without_conditions_does_not_conform() -> None:
    from metricface.components.heads.linear import Linear

    class Needy(Linear):
        """A linear layer that wants to know more than evaluation does.

        Args:
            embedding_dim: D of the embeddings.
            num_classes: C, classes of the train split.
            binary: one logit for two classes.
        """

        def forward(self, embeddings: Tensor, labels: Tensor | None = None, *, conditions: Tensor) -> Any:
            return super().forward(embeddings, labels)

    with pytest.raises(ConformanceError, match=r"1 of \d+ checks failed\nwithout labels: TypeError: .*'conditions'"):
        check_head(Needy)
