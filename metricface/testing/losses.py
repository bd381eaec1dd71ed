"""The checks of losses."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from metricface.contracts import LossInput
from metricface.errors import MetricFaceError, RecipeError
from metricface.testing.engine import Skip, Suite, Trial, Violation, check
from metricface.testing.gradients import backward, check_gradient, in_float64
from metricface.testing.randomness import draws_nothing, seeded

_DIM = 8
# Classes of the data and logits of the head, in the order in which they are tried: a binary loss takes one logit only.
_SETTINGS = ((5, 5), (2, 2), (2, 1))
_TOLERANCE = 1e-4  # relative; float32 sums in another order differ by less


@dataclass(frozen=True, slots=True)
class Case:
    """A batch: the labels, embeddings from N(0, 1) of a seed, and the pairs of a miner."""

    labels: tuple[int, ...]
    seed: int = 0
    pairs: tuple[tuple[int, ...], ...] | None = None

    def __str__(self) -> str:
        mined = "" if self.pairs is None else f", a miner's pairs {list(map(list, self.pairs))}"
        return f"labels {list(self.labels)}, embeddings ({len(self.labels)}, {_DIM}){mined}"

    def embeddings(self) -> Tensor:
        """Return (B, D), of another length in each row, as a network gives them."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randn(len(self.labels), _DIM, generator=generator, dtype=torch.float32)


@dataclass(frozen=True, slots=True)
class LossOnTrial:
    """A loss that takes `num_logits` logits of `num_classes` classes, from a linear head of the kit's own."""

    trial: Trial
    num_classes: int
    num_logits: int
    weight: Tensor = field(init=False)  # (C', D)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        object.__setattr__(self, "weight", torch.randn(self.num_logits, _DIM, generator=generator))

    @property
    def on_logits(self) -> bool:
        """Whether it wants a head."""
        return getattr(self.trial.component, "consumes", "") == "logits"

    def make(self, seed: int = 0) -> Any:
        """Make the loss, its parameters drawn from a seed."""
        with seeded(seed):
            return self.trial.make(
                {
                    "embedding_dim": _DIM,
                    "num_classes": self.num_classes,
                    "class_counts": np.arange(2, 2 + self.num_classes),
                    "rank": 0,
                    "world_size": 1,
                }
            )

    def given(self, embeddings: Tensor, case: Case) -> LossInput:
        """Return what a training step would give to the loss."""
        labels = torch.tensor(case.labels)
        pairs = None if case.pairs is None else tuple(torch.tensor(part, dtype=torch.int64) for part in case.pairs)
        if not self.on_logits:
            return LossInput(embeddings, labels, pairs=pairs)
        return LossInput(embeddings, labels, embeddings @ self.weight.to(embeddings.dtype).T, labels, pairs)

    def value(self, loss: Any, case: Case, embeddings: Tensor | None = None) -> Tensor:
        """Return the loss of a batch, whose random numbers are those of a seed."""
        with seeded():
            value: Tensor = loss(self.given(case.embeddings() if embeddings is None else embeddings, case))
        return value

    def learns(self, case: Case) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch and its gradient (B, D) at the embeddings, both finite."""
        loss, embeddings = self.make(), case.embeddings().requires_grad_()
        value = self.value(loss, case, embeddings)
        if not isinstance(value, Tensor) or value.shape != () or not value.is_floating_point():
            shown = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise Violation(f"{case}: gives {shown}, not a scalar tensor")
        if not value.isfinite():
            raise Violation(f"{case}: gives {float(value)}")
        return value, backward(value, embeddings, loss, str(case))

    def batch(self, size: int, seed: int = 0) -> Case:
        """Return a batch with two photos of each person in turn."""
        return Case(tuple(place // 2 % self.num_classes for place in range(size)), seed)


def prepare(trial: Trial) -> LossOnTrial:
    """Return the loss with the first setting that it does not refuse."""
    refusals = []
    for setting in _SETTINGS:
        tried = LossOnTrial(trial, *setting)
        try:
            tried.value(tried.make(), tried.batch(8))
        except RecipeError as error:
            refusals.append(error)
            continue
        except Exception:  # what it raises in a call is for the checks to find; it can be made
            tried.make()
        return tried
    raise refusals[0]


@check("consumes", why="`metricface check` tells by it whether a recipe needs a head.")
def consumes(on: LossOnTrial) -> None:
    """Its attribute `consumes` is "logits" or "embeddings"."""
    said = getattr(on.trial.component, "consumes", None)
    if said not in ("logits", "embeddings"):
        raise Violation(f"consumes is {said!r}")


@check("finite", why="A loss or gradient that is not finite ends the run at that step.")
def finite(on: LossOnTrial) -> None:
    """The loss is a finite scalar, and so are its gradients at embeddings and parameters."""
    for size in (4, 8):
        on.learns(on.batch(size))


@check("bfloat16", why="`train.precision` is bf16 on most machines.")
def bfloat16(on: LossOnTrial) -> None:
    """The same holds under bfloat16 autocast."""
    with torch.autocast("cpu", torch.bfloat16):
        for size in (4, 8):
            on.learns(on.batch(size))


@check("reaches embeddings", why="The network learns nothing from a loss that is detached from it.")
def reaches_embeddings(on: LossOnTrial) -> None:
    """The gradient at the embeddings of an ordinary batch is not zero."""
    case = on.batch(8)
    if not on.learns(case)[1].any():
        raise Violation(f"{case}: the gradient is zero everywhere")


@check("gradient", why="A wrong gradient trains, towards something else.")
def gradient(on: LossOnTrial) -> None:
    """In float64 the gradient at the embeddings is that of the value, by central differences."""
    case = on.batch(4)
    check_gradient(lambda embeddings: on.value(on.make(), case, embeddings), case.embeddings().double(), str(case))


@check("one class", why="Small or sorted data makes such batches, and the run must survive them.")
def one_class(on: LossOnTrial) -> None:
    """A batch of one class gives a finite loss and finite gradients."""
    for size in (4, 8):
        on.learns(Case((1,) * size))


@check("no positive pair", why="A batch can hold a single photo of each person.")
def no_positive_pair(on: LossOnTrial) -> None:
    """A batch in which no two photos are of one class gives a finite loss and finite gradients."""
    for size in sorted({2, on.num_classes}):
        on.learns(Case(tuple(range(size))))


@check("no negative pair", why="The smallest batch of a P x K sampler can lose all people but one.")
def no_negative_pair(on: LossOnTrial) -> None:
    """Two photos of one class alone give a finite loss and finite gradients."""
    on.learns(Case((0, 0)))


@check("no mined pair", why="A miner finds nothing in an easy batch.")
def no_mined_pair(on: LossOnTrial) -> None:
    """Where a miner chose no pair and no triplet the loss and its gradients are finite."""
    if on.on_logits or not getattr(on.trial.component, "uses_pairs", True):
        raise Skip("it looks at no miner's pairs")
    for parts in (3, 4):
        on.learns(Case(on.batch(4).labels, pairs=((),) * parts))


@check("one sample", why="The last batch of an epoch can be that small.")
def one_sample(on: LossOnTrial) -> None:
    """A batch of one photo gives a finite loss and finite gradients."""
    on.learns(Case((0,)))


@check("label out of range", why="On CUDA it kills the process with an error about some later kernel.")
def label_out_of_range(on: LossOnTrial) -> None:
    """A label that is none of the classes is refused by a MetricFaceError that names it."""
    if not (on.on_logits or on.trial.asks_for("num_classes")):
        raise Skip("it does not know the number of classes")
    for wrong in (on.num_classes, -1):
        case = Case((0, wrong))
        try:
            value = on.value(on.make(), case)
        except MetricFaceError as error:
            if str(wrong) not in str(error):
                raise Violation(f"{case}: the error does not name the label ({error})") from None
        except Exception as error:
            raise Violation(f"{case}: raises {type(error).__name__} ({error}), no MetricFaceError") from None
        else:
            raise Violation(f"{case}: gives {float(value.detach()):.4g}")


@check("permutation", why="The order of photos in a batch is an accident of the sampler and of the number of workers.")
def permutation(on: LossOnTrial) -> None:
    """Photos in another order give the same loss, and each the same gradient."""
    for size in (4, 8):
        case = on.batch(size)
        order = torch.arange(size).roll(1).flip(0)
        value, at = on.learns(case)
        loss, embeddings = on.make(), case.embeddings()[order].requires_grad_()
        moved = Case(tuple(case.labels[place] for place in order.tolist()))
        other = on.value(loss, moved, embeddings)
        if not torch.isclose(other, value, rtol=_TOLERANCE, atol=1e-6):
            raise Violation(f"{case}: {float(value.detach()):.6g}, and {float(other.detach()):.6g} as {moved.labels}")
        again = backward(other, embeddings, loss, str(moved))
        if not torch.allclose(again, at[order], rtol=_TOLERANCE, atol=_TOLERANCE * float(at.abs().max())):
            raise Violation(f"{case}: the gradients are others as labels {list(moved.labels)}")


@check("state", why="A resumed run goes on with what the checkpoint holds, and differs from an uninterrupted one else.")
def state(on: LossOnTrial) -> None:
    """All that a call leaves behind is in its state_dict, and goes through a file that holds tensors and numbers."""
    first, second = on.batch(8), on.batch(8, seed=2)
    loss, resumed = on.make(), on.make(seed=3)
    on.value(loss, first)
    if hasattr(loss, "state_dict"):
        saved = io.BytesIO()
        torch.save(loss.state_dict(), saved)
        saved.seek(0)
        resumed.load_state_dict(torch.load(saved, weights_only=True))
    ours, theirs = (float(on.value(part, second).detach()) for part in (loss, resumed))
    if ours != theirs:
        kept = "after load_state_dict" if hasattr(loss, "state_dict") else "anew, since it has no state_dict"
        raise Violation(f"a second batch gives {ours:.6g}, and {theirs:.6g} in one made {kept}")


@check("random state", why="A draw from a global generator changes every draw after it, and spoils a resume.")
def random_state(on: LossOnTrial) -> None:
    """A call draws from no global random number generator and seeds none."""
    loss, case = on.make(), on.batch(4)
    draws_nothing(lambda: loss(on.given(case.embeddings(), case)), str(case))


@check("inputs", why="Other losses of the recipe get the same tensors.")
def inputs(on: LossOnTrial) -> None:
    """Nothing that it is given is edited in place."""
    case = on.batch(4)
    embeddings = case.embeddings().requires_grad_() * 1  # as a network's, which autograd would let be edited
    given = on.given(embeddings, case)
    parts = {"embeddings": given.embeddings, "labels": given.labels, "logits": given.logits, "targets": given.targets}
    before = {name: (tensor, tensor._version) for name, tensor in parts.items() if tensor is not None}
    with seeded():
        on.make()(given)
    for name, (tensor, version) in before.items():
        if tensor._version != version:
            raise Violation(f"{case}: {name} is edited in place")


SUITE = Suite(
    prepare,
    (
        consumes,
        finite,
        bfloat16,
        reaches_embeddings,
        gradient,
        one_class,
        no_positive_pair,
        no_negative_pair,
        no_mined_pair,
        one_sample,
        label_out_of_range,
        permutation,
        state,
        random_state,
        inputs,
    ),
)
