"""Every check of a head finds the flaw that it is for, and nothing in a good head."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from support.flaws import GENERAL, Flaws, assert_found, assert_good, exempt, own_checks
from torch import Tensor, nn

from metricface.contracts import HeadOutput
from metricface.functional.labels import check_labels
from metricface.testing import check_head, examine


class Cosines(nn.Module):
    """Scaled cosines to one prototype for each class.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, classes of the train split.
        scale: factor on the cosines.
    """

    def __init__(self, *, embedding_dim: int, num_classes: int, scale: float = 16.0) -> None:
        super().__init__()
        self.scale = scale
        self.prototypes = nn.Parameter(torch.randn(num_classes, embedding_dim))

    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
        if labels is not None:
            check_labels(labels, len(self.prototypes))
        return HeadOutput(self.scale * self.cosines(embeddings), labels)

    def cosines(self, embeddings: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return F.normalize(embeddings.float()) @ F.normalize(self.prototypes).T


def flawed(**members: object) -> type:
    return type("Flawed", (Cosines,), {"__doc__": Cosines.__doc__, **members})


def output(change: object) -> type:
    """A head whose output is changed: (self, output, embeddings, labels) -> output."""

    def forward(self: Cosines, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
        return change(self, Cosines.forward(self, embeddings, labels), embeddings, labels)

    return flawed(forward=forward)


def factor(of: object) -> type:
    """A head whose logits are multiplied: (embeddings, labels) -> factor."""
    return output(
        lambda self, out, embeddings, labels: HeadOutput(out.logits * of(embeddings, labels), out.targets, out.penalty)
    )


class Positional(Cosines):
    """Cosines with a parameter by position."""

    def __init__(self, scale: float = 1.0, *, embedding_dim: int, num_classes: int) -> None:
        super().__init__(embedding_dim=embedding_dim, num_classes=num_classes, scale=scale)


class BadDefault(Cosines):
    """Cosines with a default of another type."""

    def __init__(self, *, embedding_dim: int, num_classes: int, scale: float = "large") -> None:
        super().__init__(embedding_dim=embedding_dim, num_classes=num_classes)


class Unmakeable(Cosines):
    """Cosines that cannot be made."""

    def __init__(self, *, scale: float = 1.0) -> None:
        raise ValueError("no licence")


def with_own_margin(self: Cosines, out: HeadOutput, embeddings: Tensor, labels: Tensor | None) -> HeadOutput:
    """A margin where there are no labels: evaluation moves the state."""
    if labels is None:
        with torch.no_grad():
            self.prototypes += 1
    return out


def half(self: Cosines, embeddings: Tensor) -> Tensor:
    return F.normalize(embeddings) @ F.normalize(self.prototypes).T  # bfloat16 under autocast


def with_arccos(self: Cosines, embeddings: Tensor) -> Tensor:
    return torch.cos(torch.arccos(Cosines.cosines(self, embeddings)) + 0.5)


def detached(self: Cosines, embeddings: Tensor) -> Tensor:
    return Cosines.cosines(self, embeddings.detach()) + 0 * embeddings.sum()


def half_detached(self: Cosines, embeddings: Tensor) -> Tensor:
    cosines = Cosines.cosines(self, embeddings)
    return cosines + cosines.detach().square()


def unchecked(self: Cosines, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
    return HeadOutput(self.scale * self.cosines(embeddings), None if labels is None else labels % len(self.prototypes))


def counting(self: Cosines, out: HeadOutput, embeddings: Tensor, labels: Tensor | None) -> HeadOutput:
    self.calls = getattr(self, "calls", 0) + 1
    return HeadOutput(out.logits * self.calls, out.targets)


def drawing(self: Cosines, out: HeadOutput, embeddings: Tensor, labels: Tensor | None) -> HeadOutput:
    torch.rand(1)
    return out


def editing(self: Cosines, out: HeadOutput, embeddings: Tensor, labels: Tensor | None) -> HeadOutput:
    embeddings.detach().mul_(1.0)
    return out


def nan_when(condition: object) -> type:
    return factor(lambda embeddings, labels: math.nan if condition(embeddings, labels) else 1)


def untyped_targets(self: Cosines, out: HeadOutput, embeddings: Tensor, labels: Tensor | None) -> HeadOutput:
    return HeadOutput(out.logits, None if labels is None else labels.float())


FLAWS: Flaws = {
    "contract": (Positional, "parameter 'scale' is not keyword-only"),
    "arguments": (BadDefault, "the default of 'scale' is refused: Input should be a valid number (got 'large')"),
    "docstring": (flawed(__doc__=None), "it has no docstring of its own"),
    "units": (flawed(__doc__=Cosines.__doc__.replace("factor on the cosines", "the s of it")), "'scale' does not say"),
    "exemptions": (exempt(Cosines, one_class="why not"), "no check 'one class'."),
    "made": (Unmakeable, "ValueError: no licence"),
    "shapes": (output(untyped_targets), "targets torch.float32 (1,), not int64 (1,)"),
    "without labels": (output(with_own_margin), "embeddings (2, 8), no labels: a second call gives other logits"),
    "float32": (flawed(cosines=half), "embeddings (4, 8) torch.bfloat16: the logits are torch.bfloat16"),
    "finite": (nan_when(lambda e, _: len(e) == 2), "embeddings (2, 8), labels [0, 0]: a logit is nan at [0, 0]"),
    "bfloat16": (nan_when(lambda e, _: e.dtype == torch.bfloat16), "a logit is nan at [0, 0]"),
    "aligned": (flawed(cosines=with_arccos), "the gradient at the embeddings is"),
    "reaches embeddings": (flawed(cosines=detached), "the gradient is zero everywhere"),
    "gradient": (flawed(cosines=half_detached), "of the embeddings the gradient is"),
    "label out of range": (flawed(forward=unchecked), "5 classes, labels [0, 5]: is not refused"),
    "permutation": (factor(lambda e, _: torch.arange(1, 1 + len(e))[:, None]), "with the photos in the order"),
    "state": (output(counting), "a second batch of 8 gets other logits in one made after load_state_dict"),
    "random state": (output(drawing), "the global generator of torch is in another state afterwards"),
    "inputs": (output(editing), "embeddings (4, 8): embeddings is edited in place"),
}


def test_a_good_head_passes_every_check() -> None:
    assert_good("head", Cosines)
    check_head(Cosines, scale=8.0)


@pytest.mark.parametrize("check", FLAWS)
def test_every_check_finds_its_flaw(check: str) -> None:
    assert_found("head", check, FLAWS)


def test_no_check_is_without_a_flaw() -> None:
    assert set(FLAWS) == GENERAL | own_checks("head")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda self, out, e, t: out.logits, "gives a Tensor, no HeadOutput"),
        (lambda self, out, e, t: HeadOutput(out.logits[0], t), "logits (5,), not (1, C')"),
        (lambda self, out, e, t: HeadOutput(out.logits, None if t is None else t + 5), "are no columns of logits"),
        (lambda self, out, e, t: HeadOutput(out.logits, t, out.logits[0]), "the penalty has the shape (5,)"),
    ],
)
def test_what_is_no_output_of_a_head_is_told(change: object, said: str) -> None:
    found = {it.name: it.said for it in examine("head", output(change)).failed}
    assert said in found["shapes"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda self, out, e, t: HeadOutput(out.logits[:, :3], t if t is None else t % 3), "3 logits for 5 classes"),
        (lambda self, out, e, t: HeadOutput(out.logits, torch.zeros(len(e), dtype=torch.int64)), "there are targets"),
    ],
)
def test_what_is_no_evaluation_is_told(change: object, said: str) -> None:
    found = {it.name: it.said for it in examine("head", output(change)).failed}
    assert said in found["without labels"]


def clamping(self: Cosines, out: HeadOutput, embeddings: Tensor, labels: Tensor | None) -> HeadOutput:
    if labels is not None:
        labels.data.clamp_(max=1)
    return out


def doubling(self: Cosines, out: HeadOutput, embeddings: Tensor, labels: Tensor | None) -> HeadOutput:
    if labels is None:
        embeddings.data.mul_(2)
    return out


@pytest.mark.parametrize(
    ("edit", "check", "said"),
    [
        (clamping, "inputs", "embeddings (8, 8): labels is edited in place (at [4] 2 became 1)"),
        (doubling, "without labels", "embeddings (2, 8), no labels: embeddings is edited in place (at [0, 0] "),
    ],
)
def test_edits_past_autograd_are_found(edit: object, check: str, said: str) -> None:
    found = {it.name: it.said for it in examine("head", output(edit)).failed}
    assert said in found[check]
