"""Every check of a backbone finds the flaw that it is for, and nothing in a good backbone."""

from __future__ import annotations

import pytest
import torch
from support.flaws import GENERAL, Flaws, assert_found, assert_good, exempt, own_checks
from torch import Tensor, nn

from metricface.contracts import InputSpec
from metricface.testing import check_backbone, examine

SPEC = InputSpec((0.5, 0.5, 0.5), (0.25, 0.25, 0.25), 16)


class Small(nn.Module):
    """A convolution, normalised, and its mean.

    Args:
        width: features, a factor of 3.
    """

    input_spec = SPEC

    def __init__(self, *, width: int = 2) -> None:
        super().__init__()
        self.feature_dim = 3 * width
        self.stem = nn.Conv2d(3, 3 * width, 3)
        self.norm = nn.BatchNorm2d(3 * width)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.norm(self.stem(images)).relu().mean(dim=(2, 3))
        return features

    def parameter_stages(self) -> list[list[str]]:
        return [["stem.weight", "stem.bias"], ["norm.weight", "norm.bias"]]


def flawed(forward: object = Small.forward, **members: object) -> type:
    return type("Flawed", (Small,), {"__doc__": Small.__doc__, "forward": forward, **members})


def changed(change: object) -> type:
    """A backbone whose features are changed: (self, images, features) -> features."""
    return flawed(lambda self, images: change(self, images, Small.forward(self, images)))


class Positional(Small):
    """A parameter by position."""

    def __init__(self, width: int = 2) -> None: ...


class BadDefault(Small):
    """A default of another type."""

    def __init__(self, *, width: int = 1.5) -> None: ...


class Unmakeable(Small):
    """Cannot be made."""

    def __init__(self) -> None:
        raise ValueError("no licence")


class Unused(Small):
    """A layer that nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(6, 2)


class Secretive(Small):
    """Weights that no file gets."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = torch.rand(6)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * self.factor


def viewed(self: Small, images: Tensor) -> Tensor:
    layered = images.as_strided((len(images), 3, 256), (768, 256, 1))  # as it lies in memory
    return Small.forward(self, layered.reshape(-1, 3, 16, 16))


def noisy(self: Small, images: Tensor, features: Tensor) -> Tensor:
    return features * (1 + 0.5 * torch.rand(1))


def counting(self: Small, images: Tensor, features: Tensor) -> Tensor:
    self.calls = getattr(self, "calls", 0) + 1
    return features * self.calls


FLAWS: Flaws = {
    "contract": (Positional, "parameter 'width' is not keyword-only"),
    "arguments": (BadDefault, "the default of 'width' is refused"),
    "docstring": (flawed(__doc__="A convolution."), "no 'width' under Args"),
    "units": (flawed(__doc__=Small.__doc__.replace("a factor of 3", "of three")), "'width' does not say whether"),
    "exemptions": (exempt(Small, batch="why not"), "no check 'batch'."),
    "made": (Unmakeable, "ValueError: no licence"),
    "input spec": (flawed(input_spec=InputSpec((0.5,) * 3, (58.0,) * 3, 16)), "mean (0.5, 0.5, 0.5), std (58.0, "),
    "dims": (changed(lambda self, images, features: features[:, :4]), "features (2, 4), feature_dim 6"),
    "any batch": (changed(lambda self, images, features: features - features.mean(dim=0)), "the first 1 of 4 photos"),
    "memory order": (flawed(viewed), "photos (2, 3, 16, 16): other features with the channels last"),
    "train and eval": (changed(counting), "photos (2, 3, 16, 16): other features the second time"),
    "gradient": (Unused, "photos (2, 3, 16, 16): its parameter 'classifier.weight' gets no gradient"),
    "state": (Secretive, "photos (2, 3, 16, 16): other features after load_state_dict"),
    "stages": (flawed(parameter_stages=lambda self: [["stem.wait"]]), "'stem.wait' is no parameter of it"),
    "random state": (changed(noisy), "the global generator of torch is in another state afterwards"),
    "inputs": (changed(lambda self, images, features: [images.mul_(1.0), features][1]), "photos is edited in place"),
}


def test_a_good_backbone_passes_every_check() -> None:
    assert_good("backbone", type("Good", (Small,), {"__doc__": Small.__doc__}))
    check_backbone(Small, width=3)


@pytest.mark.parametrize("check", FLAWS)
def test_every_check_finds_its_flaw(check: str) -> None:
    assert_found("backbone", check, FLAWS)


def test_no_check_is_without_a_flaw() -> None:
    assert set(FLAWS) == GENERAL | own_checks("backbone")


def factory() -> Small:
    """Make no module at all."""
    return "resnet"


@pytest.mark.parametrize(
    ("component", "check", "said"),
    [
        (flawed(input_spec=(0.5, 0.5)), "input spec", "input_spec is (0.5, 0.5)"),
        (flawed(input_spec=InputSpec((0.5,) * 3, (0.5,) * 3, 16.0)), "input spec", "image_size is 16.0"),
        (flawed(parameter_stages=lambda self: [["stem.bias"], ["stem.bias"]]), "stages", "'stem.bias' is named twice"),
        (flawed(get_extra_state=lambda self: 3, set_extra_state=lambda self, x: None), "state", "'_extra_state' of"),
        (factory, "made", "it makes a str, no torch.nn.Module"),
    ],
)
def test_what_else_a_check_finds(component: object, check: str, said: str) -> None:
    found = {it.name: it.said for it in examine("backbone", component).failed}
    assert said in found[check]


def halving(self: Small, images: Tensor, features: Tensor) -> Tensor:
    images.data.mul_(0.5)
    return features


def mirroring(self: Small, images: Tensor, features: Tensor) -> Tensor:
    if self.training:
        images.detach().numpy()[...] = images.flip(-1).detach().numpy()
    return features


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (halving, "photos (1, 3, 16, 16): photos is edited in place (at [0, 0, 0, 0] "),
        (mirroring, "photos (2, 3, 16, 16) in training mode: photos is edited in place (at [0, 0, 0, 0] "),
    ],
)
def test_edits_past_autograd_are_found(edit: object, said: str) -> None:
    found = {it.name: it.said for it in examine("backbone", changed(edit)).failed}
    assert said in found["inputs"]
