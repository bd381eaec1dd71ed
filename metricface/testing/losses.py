"""The checks of losses."""

from __future__ import annotations

from dataclasses import fields
from functools import partial

import torch

from metricface.testing.engine import Skip, Suite, Violation, check
from metricface.testing.gradients import backward, check_gradient
from metricface.testing.loss_on_trial import Case, LossOnTrial, prepare
from metricface.testing.randomness import draws_nothing
from metricface.testing.refusals import must_refuse
from metricface.testing.tensors import carry_over, edits_nothing

_TOLERANCE = 1e-4  # relative; float32 sums in another order differ by less
# A triplet, and a pair of one class with one of two, in batches whose first four photos are of two people.
_MINED = (((0, 2), (1, 3), (2, 0)), ((0, 2), (1, 3), (0, 2), (2, 0)))


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
    if not on.looks_at_pairs:
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
        must_refuse(partial(on.value, on.make(), case), str(case), naming=str(wrong))


@check("permutation", why="The order of photos in a batch is an accident of the sampler and of the number of workers.")
def permutation(on: LossOnTrial) -> None:
    """Photos in another order give the same loss, and each the same gradient."""
    for size in (4, 8):
        case = on.batch(size)
        order = torch.arange(size).roll(1).flip(0)
        value, at = on.learns(case)
        loss, embeddings = on.make(), case.embeddings()[order].requires_grad_()
        rows = tuple(order.tolist())
        moved = Case(tuple(case.labels[row] for row in rows), order=rows)
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
        carry_over(loss, resumed)
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
    """Nothing that it is given is edited in place, neither in sight of autograd nor past it."""
    labels = on.batch(8).labels
    mined = [Case(labels, pairs=pairs) for pairs in _MINED] if on.looks_at_pairs else []
    for case in (on.batch(4), on.batch(8), *mined):
        embeddings = case.embeddings().requires_grad_() * 1  # as a network's, which autograd would let be edited
        given = on.given(embeddings, case)
        parts = {field.name: getattr(given, field.name) for field in fields(given)}
        chosen = {f"pairs[{number}]": part for number, part in enumerate(parts.pop("pairs") or ())}
        edits_nothing({**parts, **chosen}, partial(on.make(), given), str(case))


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
