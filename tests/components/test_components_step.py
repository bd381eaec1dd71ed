"""Every head, loss and miner of this package does one training step, whatever is registered.

What a component needs is read from its signature; what it does not get along with it refuses with a RecipeError, and
something must be left. A component that is added is tested here without a change to this file.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from support.fakes import TinyBackbone

from metricface.components.registry import Registry
from metricface.contracts import KINDS, Batch, LossInput
from metricface.errors import RecipeError
from metricface.model.embedding_layer import EmbeddingLayer
from metricface.model.face_model import FaceModel
from metricface.training.parameters import parameter_groups
from metricface.training.state import LossTerm, TrainingState
from metricface.training.step import train_step

B, C, D = 8, 2, 6
LABELS = torch.arange(B) % C
OFFERED = {"embedding_dim": D, "num_classes": C, "class_counts": np.array([30, 6]), "rank": 0, "world_size": 1}

SETTINGS = {"loss": "TripletMarginLoss", "miner": "MultiSimilarityMiner"}  # of parameters that have no default

REGISTRIES = {kind: Registry(KINDS[kind]) for kind in ("head", "loss", "miner")}
NAMES = {
    kind: [entry.name for entry in registry.entries() if entry.distribution == "metricface"]
    for kind, registry in REGISTRIES.items()
}


def load(kind: str, name: str) -> Any:
    return REGISTRIES[kind].load(f"metricface:{name}")


def make(kind: str, name: str, **settings: Any) -> Any:
    """Build a component from its defaults, what build offers, and SETTINGS."""
    component = load(kind, name)
    asked = inspect.signature(component).parameters
    return component(**settings, **{key: value for key, value in {**OFFERED, **SETTINGS}.items() if key in asked})


def heads() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every head, and those that can give one logit also so."""
    for name in NAMES["head"]:
        yield name, {}
        if "binary" in inspect.signature(load("head", name)).parameters:
            yield name, {"binary": True}


def losses(consumes: str) -> list[str]:
    return [name for name in NAMES["loss"] if load("loss", name).consumes == consumes]


def pair_losses() -> list[str]:
    uses = {name: getattr(load("loss", name), "uses_pairs", True) for name in losses("embeddings")}
    arguments = {**SETTINGS, "memory_size": 0}
    return [name for name, found in uses.items() if (found(arguments) if callable(found) else found)]


def check_step(head: Any, loss: Any, miner: Any = None) -> None:
    """One step: finite losses, and a gradient that is finite everywhere and reaches the backbone."""
    torch.manual_seed(0)
    model = FaceModel(TinyBackbone(dropout=0.0), EmbeddingLayer(dim=D))
    optimizer = torch.optim.SGD(parameter_groups(model, head, loss), lr=0.01)
    state = TrainingState(model, (LossTerm("loss", loss),), optimizer, head=head, miner=miner)
    done = train_step(state, Batch(torch.randn(B, 3, 8, 8), LABELS, torch.zeros_like(LABELS), torch.arange(B)))
    assert all(math.isfinite(value) for value in done.losses.values())
    for parameter in state.trained_parameters:
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


@pytest.mark.parametrize("name", NAMES["head"])
def test_every_head_does_a_step_with_some_loss(name: str) -> None:
    done = []
    for loss in losses("logits"):
        try:
            check_step(make("head", name), make("loss", loss))
        except RecipeError:  # a loss of one logit, or of many
            continue
        done.append(loss)
    assert done


@pytest.mark.parametrize("name", losses("logits"))
def test_every_loss_on_logits_does_a_step_with_some_head(name: str) -> None:
    done = []
    for head, settings in heads():
        try:
            check_step(make("head", head, **settings), make("loss", name))
        except RecipeError:
            continue
        done.append(head)
    assert done


@pytest.mark.parametrize("name", losses("embeddings"))
def test_every_loss_on_embeddings_does_a_step_without_a_head(name: str) -> None:
    check_step(None, make("loss", name))


@pytest.mark.parametrize("loss", pair_losses())
@pytest.mark.parametrize("miner", NAMES["miner"])
def test_every_miner_does_a_step_with_every_pair_loss(miner: str, loss: str) -> None:
    check_step(None, make("loss", loss), make("miner", miner))


@pytest.mark.parametrize("name", losses("embeddings"))
@pytest.mark.parametrize("form", ["triplet", "pairs"])
def test_a_loss_looks_at_pairs_unless_it_says_that_it_does_not(name: str, form: str) -> None:
    torch.manual_seed(0)
    loss, embeddings = make("loss", name), torch.randn(B, D)
    anchor, positive, negative = torch.tensor([0]), torch.tensor([2]), torch.tensor([1])
    pairs = (anchor, positive, negative) if form == "triplet" else (anchor, positive, anchor, negative)
    mined, whole = loss(LossInput(embeddings, LABELS, pairs=pairs)), loss(LossInput(embeddings, LABELS))
    assert (mined != whole) == (name in pair_losses())
