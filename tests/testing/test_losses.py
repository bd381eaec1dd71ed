"""Every check of a loss finds the flaw that it is for, and nothing in a good loss."""

from __future__ import annotations

import random
from typing import Annotated, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from annotated_types import Gt
from support.flaws import GENERAL, Flaws, assert_found, assert_good, exempt, own_checks
from torch import Tensor, nn

from metricface.contracts import LossInput
from metricface.errors import RecipeError
from metricface.functional.labels import check_labels
from metricface.testing import ConformanceError, check_loss, examine


class Centres(nn.Module):
    """Squared distance of every photo to the centre of its class.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, classes of the train split.
        margin: distance that costs nothing.
    """

    consumes: ClassVar[str] = "embeddings"

    def __init__(self, *, embedding_dim: int, num_classes: int, margin: Annotated[float, Gt(0)] = 0.1) -> None:
        super().__init__()
        self.margin = margin
        self.centres = nn.Parameter(torch.randn(num_classes, embedding_dim))

    def forward(self, given: LossInput) -> Tensor:
        check_labels(given.labels, len(self.centres), where="loss centres")
        return self.of(given).mean()

    def of(self, given: LossInput) -> Tensor:
        """The cost of each photo (B,)."""
        return F.relu((given.embeddings - self.centres[given.labels]).square().sum(dim=1) - self.margin)


def flawed(**members: object) -> type:
    """Centres with other members, and its docstring."""
    return type("Flawed", (Centres,), {"__doc__": Centres.__doc__, **members})


def cost(of: object) -> type:
    """Centres whose forward is the mean of `of`, after the check of the labels."""
    return flawed(of=of)


def nan_when(condition: object) -> type:
    """Centres that give NaN for some batches."""

    def of(self: Centres, given: LossInput) -> Tensor:
        return Centres.of(self, given) * (float("nan") if condition(given) else 1)

    return cost(of)


class Positional(Centres):
    """Centres with a parameter by position."""

    def __init__(self, strength: float = 1.0, *, embedding_dim: int, num_classes: int) -> None:
        super().__init__(embedding_dim=embedding_dim, num_classes=num_classes)


class BadDefault(Centres):
    """Centres with a default that a recipe could not set."""

    def __init__(self, *, embedding_dim: int, num_classes: int, margin: Annotated[float, Gt(0)] = 0.0) -> None:
        super().__init__(embedding_dim=embedding_dim, num_classes=num_classes, margin=margin)


class NoUnit(Centres):
    """Centres with a margin of nobody knows what.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, classes of the train split.
        margin: the m of the paper.
    """


def broken(self: Centres, **given: object) -> None:
    raise ValueError("no licence")


class Unmakeable(Centres):
    """Centres that cannot be made.

    Args:
        margin: distance that costs nothing.
    """

    def __init__(self, *, margin: float = 1.0) -> None:
        raise ValueError("no licence")


def in_half(self: Centres, given: LossInput) -> Tensor:
    """Only bfloat16 shows it: autocast makes the product overflow where float32 would not."""
    product = given.embeddings @ given.embeddings.T  # bfloat16 under autocast
    bad = product.dtype == torch.bfloat16
    return Centres.of(self, given) * (float("inf") if bad else 1)


class Detached(Centres):
    """Centres that see a constant.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, classes of the train split.
        margin: distance that costs nothing.
    """

    def of(self, given: LossInput) -> Tensor:
        there = super().of(LossInput(given.embeddings.detach(), given.labels))
        return there + 0 * given.embeddings.sum()


class Doubled(torch.autograd.Function):
    """The identity, with twice its gradient."""

    @staticmethod
    def forward(context: object, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        return 2 * gradient


def twice(self: Centres, given: LossInput) -> Tensor:
    return Centres.of(self, LossInput(Doubled.apply(given.embeddings), given.labels))


def unchecked(self: Centres, given: LossInput) -> Tensor:
    return self.of(LossInput(given.embeddings, given.labels % len(self.centres))).mean()


def by_place(self: Centres, given: LossInput) -> Tensor:
    return Centres.of(self, given) * torch.arange(1, 1 + len(given.labels))


class Counting(Centres):
    """Centres that grow with every call, which no checkpoint knows of.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, classes of the train split.
        margin: distance that costs nothing.
    """

    calls = 0

    def of(self, given: LossInput) -> Tensor:
        self.calls += 1
        return super().of(given) * self.calls


def drawing(draw: object) -> type:
    def of(self: Centres, given: LossInput) -> Tensor:
        draw()
        return Centres.of(self, given)

    return cost(of)


def editing(self: Centres, given: LossInput) -> Tensor:
    given.embeddings.mul_(1.0)
    return Centres.of(self, given)


def of_pairs(self: Centres, given: LossInput) -> Tensor:
    costs = Centres.of(self, given)
    return costs if given.pairs is None else costs[given.pairs[0]]


FLAWS: Flaws = {
    "contract": (Positional, "parameter 'strength' is not keyword-only"),
    "arguments": (BadDefault, "the default of 'margin' is refused: Input should be greater than 0 (got 0.0)"),
    "docstring": (flawed(__doc__="Centres and nothing else."), "no 'embedding_dim' under Args"),
    "units": (NoUnit, "'margin' does not say whether it is radian, degree, cos, distance or logit"),
    "exemptions": (exempt(Centres, permutatoin="why not"), "no check 'permutatoin'. Did you mean \"permutation\"?"),
    "made": (Unmakeable, "ValueError: no licence"),
    "consumes": (flawed(consumes="logit"), "consumes is 'logit'"),
    "finite": (nan_when(lambda given: len(given.labels) == 4), "labels [0, 0, 1, 1], embeddings (4, 8): gives nan"),
    "bfloat16": (cost(in_half), "labels [0, 0, 1, 1], embeddings (4, 8): gives "),
    "reaches embeddings": (Detached, "embeddings (8, 8): the gradient is zero everywhere"),
    "gradient": (cost(twice), "of the embeddings the gradient is"),
    "one class": (nan_when(lambda given: given.labels.unique().tolist() == [1]), "labels [1, 1, 1, 1]"),
    "no positive pair": (nan_when(lambda given: given.labels.tolist() == [0, 1]), "labels [0, 1], embeddings (2, 8)"),
    "no negative pair": (nan_when(lambda given: given.labels.tolist() == [0, 0]), "labels [0, 0], embeddings (2, 8)"),
    "no mined pair": (cost(of_pairs), "a miner's pairs [[], [], []]: gives nan"),
    "one sample": (nan_when(lambda given: len(given.labels) == 1), "labels [0], embeddings (1, 8): gives nan"),
    "label out of range": (flawed(forward=unchecked), "labels [0, 5], embeddings (2, 8): is not refused"),
    "permutation": (cost(by_place), "labels [0, 0, 1, 1], embeddings (4, 8): "),
    "state": (Counting, "in one made after load_state_dict"),
    "random state": (drawing(lambda: torch.rand(1)), "the global generator of torch is in another state afterwards"),
    "inputs": (cost(editing), "embeddings is edited in place"),
}


def test_a_good_loss_passes_every_check() -> None:
    assert_good("loss", Centres)
    check_loss(Centres, margin=0.5)


@pytest.mark.parametrize("check", FLAWS)
def test_every_check_finds_its_flaw(check: str) -> None:
    assert_found("loss", check, FLAWS)


def test_no_check_is_without_a_flaw() -> None:
    assert set(FLAWS) == GENERAL | own_checks("loss")


@pytest.mark.parametrize(
    ("draw", "library"), [(random.random, "random"), (lambda: np.random.rand(1), "numpy.random"), (None, "torch")]
)
def test_a_draw_from_any_global_generator_is_seen_and_undone(draw: object, library: str) -> None:
    before = random.getstate(), np.random.get_state()[2], torch.get_rng_state()
    report = examine("loss", drawing(draw or (lambda: torch.manual_seed(5))))
    (found,) = [it for it in report.failed if it.name == "random state"]
    assert f"the global generator of {library} is" in found.said
    assert before[:2] == (random.getstate(), np.random.get_state()[2])
    assert torch.equal(before[2], torch.get_rng_state())


def constant(self: Centres, given: LossInput) -> Tensor:
    return torch.zeros(())


class TwoLeftOut(Centres):
    """Centres and a parameter that nothing uses.

    Args:
        embedding_dim: D of the embeddings.
        num_classes: C, classes of the train split.
        margin: distance that costs nothing.
    """

    def __init__(self, *, embedding_dim: int, num_classes: int, margin: float = 0.1) -> None:
        super().__init__(embedding_dim=embedding_dim, num_classes=num_classes, margin=margin)
        self.other = nn.Parameter(torch.zeros(2))


@pytest.mark.parametrize(
    ("component", "said"),
    [
        (flawed(forward=constant), "does not depend on the embeddings, so that backward() stops the run"),
        (flawed(forward=Centres.of), "gives a tensor (4,), not a scalar tensor"),
        (flawed(forward=lambda self, given: 3.0), "gives float, not a scalar tensor"),
        (TwoLeftOut, "its parameter 'other' gets no gradient"),
        (cost(lambda self, given: (Centres.of(self, given) * 0).sqrt()), "the gradient at the embeddings is nan at"),
        (flawed(forward=lambda self, given: 1 / 0), "ZeroDivisionError: division by zero"),
    ],
)
def test_what_is_no_loss_that_can_be_trained_with_is_not_finite(component: type, said: str) -> None:
    found = {it.name: it.said for it in examine("loss", component).failed}
    assert said in found["finite"]


def test_an_exemption_takes_a_check_out_and_its_reason_is_told() -> None:
    component = exempt(cost(by_place), permutation="later photos weigh more")
    check_loss(component)
    (outcome,) = [it for it in examine("loss", component).outcomes if it.status == "exempt"]
    assert (outcome.name, outcome.said) == ("permutation", "later photos weigh more")


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"permutation": " "}, "no reason for 'permutation'"),
        ({"contract": "why not"}, "no check 'contract'."),
        ("permutation", "conformance_exempt is a str, not a mapping of check to reason"),
    ],
)
def test_an_exemption_needs_a_check_and_a_reason(declared: object, said: str) -> None:
    found = {it.name: it.said for it in examine("loss", flawed(conformance_exempt=declared)).failed}
    assert said in found["exemptions"]


def test_the_error_lists_every_failed_check_a_line_each() -> None:
    component = type("Bad", (Centres,), {"consumes": "logit", "of": by_place})
    with pytest.raises(AssertionError) as caught:  # as pytest shows it
        check_loss(component)
    assert isinstance(caught.value, ConformanceError)
    assert caught.value.exit_code == 4
    first, *lines = str(caught.value).split("\n")
    assert first == "loss Bad: 4 of 21 checks failed"
    assert [line.partition(":")[0] for line in lines] == ["docstring", "consumes", "gradient", "permutation"][:1] + [
        line.partition(":")[0] for line in lines[1:]
    ]
    assert lines[0] == (
        "docstring: it has no docstring of its own. Wanted: Its docstring says in a sentence what it is, and under "
        "Args, in two words or more, what each parameter is. `metricface show` prints it, and it is all that a "
        "recipe's author has to go by."
    )


def test_arguments_that_a_recipe_could_not_set_are_refused_before_any_check() -> None:
    with pytest.raises(RecipeError) as caught:
        check_loss(Centres, margn=1.0)
    assert str(caught.value) == 'loss Centres  margn  unknown key. Did you mean "margin"? Parameters: margin'
    with pytest.raises(RecipeError, match="margin  must be greater than 0"):
        check_loss(Centres, margin=-1.0)
    with pytest.raises(RecipeError, match="an argument is no value of TOML"):
        check_loss(Centres, margin=object())


class OnLogits:
    """Cross-entropy of two logits or of one.

    Args:
        class_counts: photos of each class.
    """

    consumes: ClassVar[str] = "logits"
    wanted = 2

    def __init__(self, *, class_counts: np.ndarray) -> None:
        if len(class_counts) != 2:
            raise RecipeError(f"loss on-logits: two classes (got {len(class_counts)})")

    def __call__(self, given: LossInput) -> Tensor:
        if given.logits.shape[1] != self.wanted:
            raise RecipeError(f"loss on-logits: {self.wanted} logits (got {given.logits.shape[1]})")
        check_labels(given.targets, 2, where="loss on-logits")
        logits = given.logits if self.wanted == 2 else F.pad(given.logits, (1, 0))
        return F.cross_entropy(logits, given.targets)


@pytest.mark.parametrize("wanted", [1, 2])
def test_a_loss_gets_as_many_classes_and_logits_as_it_takes(wanted: int) -> None:
    component = type("OnLogits", (OnLogits,), {"wanted": wanted, "__doc__": OnLogits.__doc__})
    check_loss(component)


def test_one_that_takes_none_of_them_says_so() -> None:
    component = type("OnLogits", (OnLogits,), {"wanted": 3, "__doc__": OnLogits.__doc__})
    (found,) = examine("loss", component).failed
    assert (found.name, found.said) == ("made", "loss on-logits: two classes (got 5)")


def doubling(given: LossInput) -> None:
    given.embeddings.data.mul_(2)


def by_numpy(given: LossInput) -> None:
    given.embeddings.detach().numpy()[:, 0] = 0


def clamping(given: LossInput) -> None:
    given.labels.data.clamp_(max=1)


def swapping(given: LossInput) -> None:
    if given.pairs is not None:
        given.pairs[0].data[:] = given.pairs[1]


def cutting(given: LossInput) -> None:
    given.embeddings.data = given.embeddings.data[:, :4]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            doubling,
            "labels [0, 0, 1, 1], embeddings (4, 8): embeddings is edited in place (at [0, 0] -1.126 became -2.252)",
        ),
        (by_numpy, "embeddings (4, 8): embeddings is edited in place (at [0, 0] -1.126 became 0)"),
        (clamping, "labels [0, 0, 1, 1, 2, 2, 3, 3], embeddings (8, 8): labels is edited in place (at [4] 2 became 1)"),
        (swapping, "a miner's pairs [[0, 2], [1, 3], [2, 0]]: pairs[0] is edited in place (at [0] 0 became 1)"),
        (cutting, "embeddings is edited in place ((4, 8) became (4, 4))"),
    ],
)
def test_edits_past_autograd_are_found(edit: object, said: str) -> None:
    def of(self: Centres, given: LossInput) -> Tensor:
        costs = Centres.of(self, given)
        edit(given)
        return costs

    found = {it.name: it.said for it in examine("loss", cost(of)).failed}
    assert said in found["inputs"]


def test_an_edit_that_autograd_meets_later_is_one_fault() -> None:
    def of(self: Centres, given: LossInput) -> Tensor:
        costs = given.embeddings.square().sum(dim=1) + Centres.of(self, given)
        torch._foreach_mul_([given.embeddings.detach().view(-1)[::2]], 0.5)
        return costs

    failed = {name: said for name, status, said in examine("loss", cost(of)).rows() if status == "failed"}
    assert set(failed) == {"finite", "inputs"}
    assert "expected version 0 instead. 10 checks fail by it: finite, bfloat16," in failed["finite"]
    assert "embeddings is edited in place (at [0, 0] " in failed["inputs"]


class Logits(OnLogits):
    """Cross-entropy that spoils the logits for the losses after it."""

    def __call__(self, given: LossInput) -> Tensor:
        value = super().__call__(given)
        given.logits.data.mul_(0.5)
        return value


def test_edits_of_the_logits_are_found() -> None:
    found = {it.name: it.said for it in examine("loss", Logits).failed}
    assert "logits is edited in place (at [0, 0] " in found["inputs"]
