"""Ten components that are unlike each other go through one train_step and one checkpoint: the contracts hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metricface.contracts import Batch, EmbeddingSet, HeadOutput, InputSpec, LossInput, Predictions
from metricface.contracts.results import Reading, Result, Value
from metricface.errors import ModelError
from metricface.model.embedding_layer import EmbeddingLayer
from metricface.model.face_model import FaceModel
from metricface.training.checkpoint import read_checkpoint, save_checkpoint
from metricface.training.parameters import parameter_groups
from metricface.training.state import LossTerm, TrainingState
from metricface.training.step import train_step

B, C, D = 8, 4, 6


class TinyBackbone(nn.Module):
    feature_dim = 5
    input_spec = InputSpec((0.5,) * 3, (0.5,) * 3, 8)

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images.mean(dim=(2, 3)))


class OneLogitHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(D, 1)

    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
        return HeadOutput(self.layer(embeddings), labels)


class BCE:
    consumes: ClassVar[Literal["logits"]] = "logits"

    def __call__(self, given: LossInput) -> Tensor:
        return F.binary_cross_entropy_with_logits(given.logits[:, 0], given.targets.float().clamp(max=1))


class CrossEntropy:
    consumes: ClassVar[Literal["logits"]] = "logits"

    def __call__(self, given: LossInput) -> Tensor:
        return F.cross_entropy(given.logits, given.targets)


class Prototypes(nn.Module):
    """What the margin fakes share: float32 prototypes, `rows` per class."""

    def __init__(self, rows: int = 1) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(C * rows, D))

    def cosine(self, embeddings: Tensor) -> Tensor:
        return F.normalize(embeddings) @ F.normalize(self.prototypes).T


class SelfContainedArcFace(Prototypes):
    consumes: ClassVar[Literal["embeddings"]] = "embeddings"

    def forward(self, given: LossInput) -> Tensor:
        angle = self.cosine(given.embeddings).clamp(-0.999, 0.999).acos()
        logits = 16 * (angle + 0.3 * F.one_hot(given.labels, C)).cos()
        return F.cross_entropy(logits, given.labels)


class AdaFaceHead(Prototypes):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean_norm", torch.tensor(1.0))

    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
        cosine = self.cosine(embeddings)
        if labels is None:
            return HeadOutput(16 * cosine)
        norms = embeddings.detach().norm(dim=1)
        self.mean_norm.lerp_(norms.mean(), 0.1)
        margin = 0.3 * (norms - self.mean_norm).clamp(-1, 1)
        return HeadOutput(16 * (cosine - margin[:, None] * F.one_hot(labels, C)), labels)


class MagFaceHead(Prototypes):
    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
        norms = embeddings.norm(dim=1)
        penalty = None if labels is None else (1 / norms + norms / 100).mean()
        return HeadOutput(16 * self.cosine(embeddings), labels, penalty)


class SubCenterHead(Prototypes):
    def __init__(self) -> None:
        super().__init__(rows=3)

    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
        return HeadOutput(16 * self.cosine(embeddings).view(-1, C, 3).amax(dim=2), labels)


class ShardedLoss(nn.Module):
    """Holds every second class, as Partial FC would on one of two ranks."""

    consumes: ClassVar[Literal["embeddings"]] = "embeddings"

    def __init__(self, *, rank: int = 1, world_size: int = 2) -> None:
        super().__init__()
        self.own = torch.arange(rank, C, world_size)
        self.shard = nn.Parameter(torch.randn(len(self.own), D))

    def forward(self, given: LossInput) -> Tensor:
        cosine = F.normalize(given.embeddings) @ F.normalize(self.shard).T
        return F.binary_cross_entropy_with_logits(8 * cosine, (given.labels[:, None] == self.own).float())


class MemoryLoss(nn.Module):
    """A queue of earlier embeddings: state that must survive a checkpoint."""

    consumes: ClassVar[Literal["embeddings"]] = "embeddings"

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("queue", torch.zeros(16, D))
        self.position = 0

    def forward(self, given: LossInput) -> Tensor:
        loss = (F.normalize(given.embeddings) @ self.queue.clone().T).square().mean()
        rows = (self.position + torch.arange(len(given.embeddings))) % len(self.queue)
        self.queue[rows] = F.normalize(given.embeddings.detach())
        self.position = int((self.position + len(rows)) % len(self.queue))
        return loss

    def get_extra_state(self) -> dict[str, int]:
        return {"position": self.position}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.position = state["position"]


class Triplet:
    consumes: ClassVar[Literal["embeddings"]] = "embeddings"

    def __call__(self, given: LossInput) -> Tensor:
        vectors = F.normalize(given.embeddings)
        anchor, positive, negative = given.pairs
        return F.triplet_margin_loss(vectors[anchor], vectors[positive], vectors[negative], margin=0.2)


class FirstTriplets:
    def __call__(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        found = [
            (a, p, n)
            for a in range(len(labels))
            for p in range(len(labels))
            for n in range(len(labels))
            if a != p and labels[a] == labels[p] != labels[n]
        ]
        return tuple(torch.tensor(found).T)


class Accuracy:
    needs = frozenset({"logits"})
    metrics = ("accuracy",)

    def __call__(self, subject: Any) -> Result:
        predictions = subject.predict(subject.dataset)
        hits = predictions.logits.argmax(axis=1) == predictions.labels
        return Result((Reading("", {"accuracy": Value(float(hits.mean()), len(hits))}),))


class Robustness:
    """Looks at images itself and asks for embeddings of what it made of them."""

    needs = frozenset({"images", "embeddings"})
    metrics = ("cosine",)

    def __call__(self, subject: Any) -> Result:
        dark = [image // 2 for image in (subject.dataset.read(i) for i in range(len(subject.dataset)))]
        before, after = subject.embed(subject.dataset), subject.embed(dark)
        cosine = float((before.vectors * after.vectors).sum(axis=1).mean())
        return Result((Reading("", {"cosine": Value(cosine, len(dark), unit="cosine")}),))


Parts = dict[str, Callable[[], Any]]
FAKES: dict[str, Parts] = {
    "bce, one logit": {"head": OneLogitHead, "loss": BCE},
    "self-contained arcface": {"loss": SelfContainedArcFace},
    "adaface": {"head": AdaFaceHead, "loss": CrossEntropy},
    "magface penalty": {"head": MagFaceHead, "loss": CrossEntropy},
    "sub-centers": {"head": SubCenterHead, "loss": CrossEntropy},
    "sharded loss": {"loss": ShardedLoss},
    "memory loss": {"loss": MemoryLoss},
    "triplet without head": {"loss": Triplet, "miner": FirstTriplets},
}


def make_state(parts: Parts, seed: int = 0) -> TrainingState:
    torch.manual_seed(seed)
    model = FaceModel(TinyBackbone(), EmbeddingLayer(dim=D))
    head = parts["head"]() if "head" in parts else None
    loss = parts["loss"]()
    optimizer = torch.optim.AdamW(parameter_groups(model, head, loss), lr=0.01)
    return TrainingState(
        model,
        (LossTerm("fake", loss, 0.5),),
        optimizer,
        schedule=lambda step: 1 / (step + 1),
        head=head,
        miner=parts["miner"]() if "miner" in parts else None,
    )


def make_batch(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(B) % C
    return Batch(torch.randn(B, 3, 8, 8, generator=generator), labels, torch.zeros_like(labels), torch.arange(B))


@pytest.mark.parametrize("name", FAKES)
def test_every_fake_trains_and_goes_on_from_a_checkpoint_as_if_nothing_had_happened(name: str, tmp_path: Path) -> None:
    state = make_state(FAKES[name])
    before = [parameter.detach().clone() for parameter in state.trained_parameters]
    done = [train_step(state, make_batch(number)) for number in range(3)]
    assert all(not torch.equal(a, b) for a, b in zip(before, state.trained_parameters, strict=True))
    assert all(math.isfinite(step.losses["fake"]) for step in done)
    assert done[-1].grad_norm > 0
    assert [step.learning_rate for step in done] == pytest.approx([0.01, 0.005, 0.01 / 3])

    save_checkpoint(tmp_path / "last.pt", state, "digest")
    resumed = make_state(FAKES[name], seed=99)
    resumed.load_state_dict(read_checkpoint(tmp_path / "last.pt", "digest"))
    assert (resumed.step, resumed.position) == (3, 3)
    assert train_step(resumed, make_batch(3)) == train_step(state, make_batch(3))
    for ours, theirs in zip(state.trained_parameters, resumed.trained_parameters, strict=True):
        assert torch.equal(ours, theirs)


def test_a_penalty_is_added_to_the_weighted_sum() -> None:
    state = make_state(FAKES["magface penalty"])
    step = train_step(state, make_batch(0))
    assert step.losses["penalty"] > 0
    assert set(step.losses) == {"fake", "penalty"}


class FakeSubject:
    def __init__(self) -> None:
        self.dataset = self
        self.images = np.random.default_rng(0).integers(0, 255, (6, 4, 4, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> np.ndarray:
        return self.images[index]

    def embed(self, dataset: Any) -> EmbeddingSet:
        images = np.stack([dataset.read(i) for i in range(len(dataset))] if dataset is self else dataset)
        vectors = images.reshape(len(images), -1).astype(np.float32)
        norms = np.linalg.norm(vectors, axis=1)
        zeros = np.zeros(len(images), np.int64)
        text = np.full(len(images), "x")
        return EmbeddingSet(vectors / norms[:, None], norms, zeros, zeros, zeros, text, text, ("a",), ("clean",))

    def predict(self, dataset: Any) -> Predictions:
        logits = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 1]]
        return Predictions(logits, np.array([0, 1, 2, 0, 1, 2]), ("a", "b", "c"))


def test_a_classification_evaluator_and_one_that_looks_at_images_fit_the_same_subject() -> None:
    assert Accuracy()(FakeSubject()).metric("accuracy") == pytest.approx(5 / 6)
    assert Robustness()(FakeSubject()).metric("cosine") > 0.99


def test_a_checkpoint_of_another_recipe_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, make_state(FAKES["bce, one logit"]), "digest")
    with pytest.raises(ModelError, match="belongs to another recipe"):
        read_checkpoint(path, "other")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelError, match=r"last\.pt: not a readable checkpoint .* Delete it to start the run anew"):
        read_checkpoint(path, "digest")


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"recipe_digest": "digest", "state": Evil()}, tmp_path / "last.pt")
    with pytest.raises(ModelError, match="not a readable checkpoint"):
        read_checkpoint(tmp_path / "last.pt", "digest")
    assert not (tmp_path / "ran").exists()
