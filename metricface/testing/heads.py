"""The checks of heads."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from metricface.testing.engine import Suite, Violation, check
from metricface.testing.gradients import check_gradient
from metricface.testing.head_on_trial import HeadOnTrial, prepare
from metricface.testing.randomness import draws_nothing
from metricface.testing.refusals import must_refuse
from metricface.testing.tensors import DIM, carry_over, edits_nothing, embeddings_of

_TOLERANCE = 1e-4  # relative; float32 sums in another order differ by less


@check("shapes", why="Losses read logits (B, C') and targets (B,) and nothing else.")
def shapes(on: HeadOnTrial) -> None:
    """It gives logits (B, C'), int64 targets (B,) that are columns of them, and at most a scalar as penalty."""
    for size in (1, 2, 8):
        on.call(on.make(), embeddings_of(size), on.labels(size))


@check("without labels", why="Evaluation knows no labels, and must not move what training made.")
def without_labels(on: HeadOnTrial) -> None:
    """Without labels, in evaluation mode, it gives the logits of all classes, the same each time, and no targets.

    Neither its state nor the embeddings are edited.
    """
    head = on.make()
    if isinstance(head, nn.Module):
        head.eval()
    case = "embeddings (2, 8), no labels"
    kept = _copied(head)
    with torch.no_grad():
        first, second = (on.call(head, embeddings_of(2), None) for _ in range(2))
    columns = (on.num_classes,) if on.num_classes > 2 else (1, 2)
    if first.logits.shape[1] not in columns:
        raise Violation(f"{case}: {first.logits.shape[1]} logits for {on.num_classes} classes")
    if first.targets is not None:
        raise Violation(f"{case}: there are targets")
    if not torch.equal(first.logits, second.logits):
        raise Violation(f"{case}: a second call gives other logits")
    embeddings = embeddings_of(2)
    edits_nothing({"embeddings": embeddings}, partial(head, embeddings), case)
    changed = [name for name, value in _copied(head).items() if not torch.equal(torch.as_tensor(value), kept[name])]
    if changed:
        raise Violation(f"{case}: {changed[0]!r} of its state is changed")


def _copied(head: Any) -> dict[str, Tensor]:
    saved = head.state_dict() if hasattr(head, "state_dict") else {}
    return {name: torch.as_tensor(value).clone() for name, value in saved.items()}


@check("float32", why="A cosine rounded to bfloat16 moves a logit at scale 64 by up to 0.12.")
def float32(on: HeadOnTrial) -> None:
    """Its parameters are float32 before and after a call, and so are its logits, also in bfloat16 autocast."""
    head, labels = on.make(), on.labels(4)
    for embeddings in (embeddings_of(4), embeddings_of(4).bfloat16()):
        with torch.autocast("cpu", torch.bfloat16, enabled=embeddings.dtype == torch.bfloat16):
            logits = on.call(head, embeddings, labels).logits
        case = f"embeddings (4, {DIM}) {embeddings.dtype}"
        if logits.dtype != torch.float32:
            raise Violation(f"{case}: the logits are {logits.dtype}")
        for name, parameter in head.named_parameters() if isinstance(head, nn.Module) else ():
            if parameter.dtype != torch.float32:
                raise Violation(f"{case}: {name} is {parameter.dtype}")


@check("finite", why="A logit or gradient that is not finite ends the run at that step.")
def finite(on: HeadOnTrial) -> None:
    """Logits are finite, and so are the gradients of their cross-entropy at embeddings and parameters."""
    for size in (1, 2, 8):
        on.learns(embeddings_of(size), on.labels(size))


@check("bfloat16", why="`train.precision` is bf16 on most machines.")
def bfloat16(on: HeadOnTrial) -> None:
    """The same holds under bfloat16 autocast, with embeddings in bfloat16."""
    with torch.autocast("cpu", torch.bfloat16):
        for size in (1, 2, 8):
            on.learns(embeddings_of(size).bfloat16(), on.labels(size))


@check("aligned", why="Trained embeddings lie on their prototypes, where an arccos has an infinite gradient.")
def aligned(on: HeadOnTrial) -> None:
    """At a cosine of 1 and of -1 to a prototype, logits and gradients are finite."""
    for sign in (1, -1):
        on.learns(sign * torch.eye(DIM)[: on.num_classes], list(range(on.num_classes)), on_axes=True)


@check("reaches embeddings", why="The network learns nothing from a head that is detached from it.")
def reaches_embeddings(on: HeadOnTrial) -> None:
    """The gradient at the embeddings of an ordinary batch is not zero."""
    if not on.learns(embeddings_of(8), on.labels(8)).any():
        raise Violation(f"embeddings (8, {DIM}), labels {on.labels(8)}: the gradient is zero everywhere")


@check("gradient", why="A wrong gradient trains, towards something else.")
def gradient(on: HeadOnTrial) -> None:
    """In float64 the gradient of the cross-entropy at the embeddings is that of its value, by central differences."""
    labels = on.labels(4)
    check_gradient(
        lambda embeddings: on.cost(on.make(), embeddings, labels),
        embeddings_of(4).double(),
        f"embeddings (4, {DIM}), labels {labels}",
    )


@check("label out of range", why="On CUDA it kills the process with an error about some later kernel.")
def label_out_of_range(on: HeadOnTrial) -> None:
    """A label that is none of the classes is refused by a MetricFaceError that names it."""
    for wrong in (on.num_classes, -1):
        case = f"{on.num_classes} classes, labels [0, {wrong}]"
        head = on.make()
        labels, facts = on.given(head, [0, wrong])
        must_refuse(partial(head, embeddings_of(2), labels, **facts), case, naming=str(wrong))


@check("permutation", why="The order of photos in a batch is an accident of the sampler and of the number of workers.")
def permutation(on: HeadOnTrial) -> None:
    """Photos in another order get the same logits."""
    labels, order = on.labels(4), [2, 1, 0, 3]
    logits = on.call(on.make(), embeddings_of(4), labels).logits
    moved = on.call(on.make(), embeddings_of(4)[order], [labels[row] for row in order], order).logits
    if logits.shape != moved.shape or not torch.allclose(moved, logits[order], rtol=_TOLERANCE, atol=_TOLERANCE):
        raise Violation(f"labels {labels}: other logits with the photos in the order {order}")


@check("state", why="A resumed run and a saved model go on with what the file holds.")
def state(on: HeadOnTrial) -> None:
    """All that a call leaves behind is in its state_dict, and goes through a file that holds tensors and numbers."""
    head, resumed, labels = on.make(), on.make(seed=3), on.labels(8)
    on.call(head, embeddings_of(8), labels)
    if hasattr(head, "state_dict"):
        carry_over(head, resumed)
    ours, theirs = (on.call(part, embeddings_of(8, seed=2), labels).logits for part in (head, resumed))
    if not torch.equal(ours, theirs):
        kept = "after load_state_dict" if hasattr(head, "state_dict") else "anew, since it has no state_dict"
        raise Violation(f"a second batch of 8 gets other logits in one made {kept}")


@check("random state", why="A draw from a global generator changes every draw after it, and spoils a resume.")
def random_state(on: HeadOnTrial) -> None:
    """A call draws from no global random number generator and seeds none."""
    head = on.make()
    labels, facts = on.given(head, on.labels(4))
    draws_nothing(partial(head, embeddings_of(4), labels, **facts), f"embeddings (4, {DIM})")


@check("inputs", why="Losses get the same tensors.")
def inputs(on: HeadOnTrial) -> None:
    """Nothing that it is given is edited in place, in sight of autograd or past it."""
    for size in (4, 8):
        head, embeddings = on.make(), embeddings_of(size).requires_grad_() * 1
        labels, facts = on.given(head, on.labels(size))
        given = {"embeddings": embeddings, "labels": labels, **facts}
        edits_nothing(given, partial(head, embeddings, labels, **facts), f"embeddings ({size}, {DIM})")


SUITE = Suite(
    prepare,
    (
        shapes,
        without_labels,
        float32,
        finite,
        bfloat16,
        aligned,
        reaches_embeddings,
        gradient,
        label_out_of_range,
        permutation,
        state,
        random_state,
        inputs,
    ),
)
