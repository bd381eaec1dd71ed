"""What every head with a margin keeps to, whatever its margin depends on."""

from __future__ import annotations

import copy
import inspect
import math
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import nn

from metricface.components.heads.adaface import AdaFace
from metricface.components.registry import Registry
from metricface.contracts import KINDS
from metricface.errors import TrainingError
from metricface.recipe.signature import arguments_model, validated

REGISTRY = Registry(KINDS["head"])
NAMES = [entry.name for entry in REGISTRY.entries() if entry.distribution == "metricface" and entry.name != "linear"]
STATEFUL = ["adaface", "curricularface", "elasticface"]
B, C, D = 12, 5, 8


def make(name: str, seed: int = 0) -> Any:
    """A head as build makes it: with its defaults and with what its signature asks for."""
    torch.manual_seed(seed)
    offered = {"embedding_dim": D, "num_classes": C, "class_counts": np.array([9, 1, 40, 9, 300])}
    component = REGISTRY.load(name)
    asked = inspect.signature(component).parameters
    return component(**{key: value for key, value in offered.items() if key in asked})


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return 5 * torch.randn(B, D, generator=generator), torch.randint(C, (B,), generator=generator)


def state(head: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in head.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(params=NAMES)
def head(request: pytest.FixtureRequest) -> Any:
    return make(request.param)


def test_the_family_is_here() -> None:
    expected = {"arcface", "cosface", "magface", "subcenter-arcface", "adaptive-arcface", *STATEFUL}
    assert expected <= set(NAMES)


def test_the_target_and_hard_classes_alone_differ_from_the_logits_without_labels(head: Any) -> None:
    embeddings, labels = batch(0)
    before = embeddings.clone()
    head.eval()
    plain, output = head(embeddings), head(embeddings, labels)
    assert plain.targets is None
    assert plain.penalty is None
    assert output.targets is labels
    assert plain.logits.shape == output.logits.shape == (B, C)
    cosines = F.normalize(embeddings) @ F.normalize(head.prototypes.detach()).T
    nearest = cosines.view(B, C, -1).amax(dim=2)
    torch.testing.assert_close(plain.logits, head.scale * nearest, atol=1e-4, rtol=1e-5)
    own = F.one_hot(labels, C).bool()
    assert (output.logits[own] < plain.logits[own]).all()
    hard = ~own & (plain.logits > output.logits[own][:, None])
    assert torch.equal(output.logits[~own & ~hard], plain.logits[~own & ~hard])
    assert torch.equal(embeddings, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("autocast", [None, torch.bfloat16, torch.float16])
def test_finite_on_and_opposite_a_prototype(head: Any, dtype: torch.dtype, autocast: torch.dtype | None) -> None:
    first = F.normalize(head.prototypes.detach())[:: len(head.prototypes) // C]  # of each class
    labels = torch.arange(C).repeat(2)
    for length in (0.1, 20.0, 1e3):
        embeddings = (length * torch.cat([first, -first])).to(dtype).requires_grad_()
        with torch.autocast("cpu", autocast or torch.bfloat16, enabled=autocast is not None):
            output = head(embeddings, labels)
            loss = F.cross_entropy(output.logits, labels) + (0 if output.penalty is None else output.penalty)
        head.zero_grad()
        loss.backward()
        assert output.logits.dtype == torch.float32
        for tensor in (loss, output.logits, embeddings.grad, head.prototypes.grad, *head.state_dict().values()):
            assert tensor.isfinite().all()
        assert head.prototypes.grad.any()


@pytest.mark.parametrize("lengths", [(0.0,), (0.0, 1e4, -1e4)], ids=["one of zeros", "zeros and very long ones"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_embeddings_of_zeros_and_very_long_ones_give_no_nan(
    head: Any, lengths: tuple[float, ...], dtype: torch.dtype
) -> None:
    embeddings = (torch.tensor(lengths)[:, None] * torch.ones(D)).to(dtype).requires_grad_()
    output = head(embeddings, torch.arange(len(lengths)))
    output.logits.sum().backward()
    for tensor in (output.logits, embeddings.grad, head.prototypes.grad, *head.state_dict().values()):
        assert tensor.isfinite().all()


def test_the_gradient_is_that_of_finite_differences(head: Any) -> None:
    embeddings, labels = batch(1)
    head.eval()

    def summed(given: torch.Tensor) -> torch.Tensor:
        output = head(given, labels)
        return F.cross_entropy(output.logits / 30, labels) + (0 if output.penalty is None else output.penalty)

    given = embeddings.clone().requires_grad_()
    summed(given).backward()
    direction = torch.randn(B, D)
    if isinstance(head, AdaFace):  # no gradient goes through the lengths: turn the embeddings only
        unit = F.normalize(embeddings)
        direction -= (direction * unit).sum(dim=1, keepdim=True) * unit
    step = 1e-2
    with torch.no_grad():
        difference = (summed(embeddings + step * direction) - summed(embeddings - step * direction)) / (2 * step)
    assert float((given.grad * direction).sum()) == pytest.approx(float(difference), rel=0.02, abs=2e-3)


def test_autocast_changes_nothing(head: Any) -> None:
    embeddings, labels = batch(2)
    twin = copy.deepcopy(head)
    expected = head(embeddings, labels)
    with torch.autocast("cpu", torch.bfloat16):
        found = twin(embeddings, labels)
    assert torch.equal(found.logits, expected.logits)
    assert found.penalty == expected.penalty
    assert equal(state(head), state(twin))


@pytest.mark.parametrize("label", [C, -1])
def test_a_label_out_of_range_is_named_and_moves_no_state(head: Any, label: int) -> None:
    before = state(head)
    with pytest.raises(TrainingError, match=f"^head: label {label} is none of the 5 classes"):
        head(torch.randn(2, D), torch.tensor([0, label]))
    assert equal(state(head), before)


@pytest.mark.parametrize("name", NAMES)
def test_state_is_moved_by_training_batches_only(name: str) -> None:
    head, before = make(name), state(make(name))
    head(batch(3)[0])
    head.eval()
    head(*batch(3))
    assert equal(state(head), before)
    head.train()
    head(*batch(3))
    assert equal(state(head), before) == (name not in STATEFUL)


@pytest.mark.parametrize("name", NAMES)
def test_a_head_that_is_read_back_goes_on_as_if_nothing_had_happened(name: str) -> None:
    head, resumed = make(name), make(name, seed=1)
    for seed in range(3):
        head(*batch(seed))
    saved = safetensors.torch.save({key: value.contiguous() for key, value in head.state_dict().items()})
    resumed.load_state_dict(safetensors.torch.load(saved))
    for seed in range(3, 6):
        ours, theirs = head(*batch(seed)), resumed(*batch(seed))
        assert torch.equal(ours.logits, theirs.logits)
        assert ours.penalty == theirs.penalty
    assert equal(state(head), state(resumed))


@pytest.mark.parametrize("name", NAMES)
def test_prototypes_and_state_are_float32(name: str) -> None:
    head = make(name)
    head(*batch(0))
    tensors = [*head.parameters(), *head.buffers()]
    assert head.prototypes.shape[0] % C == 0
    assert {tensor.dtype for tensor in tensors} == {torch.float32}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "cosface"])
def test_a_margin_in_degrees_is_out_of_bounds_and_the_bound_is_that_of_an_angle(name: str) -> None:
    model = arguments_model(REGISTRY.load(name), KINDS["head"])
    margins = [key for key in model.model_fields if "margin" in key]
    assert margins
    for key in margins:
        with pytest.raises(ValidationError) as caught:
            validated(model, {key: 28.6})
        assert [error["ctx"] for error in caught.value.errors()] == [{"le": math.pi / 2}]  # gets the hint of radians
