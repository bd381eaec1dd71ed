"""The checks of backbones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from metricface.contracts import Backbone, HasParameterStages, InputSpec
from metricface.testing.engine import Skip, Suite, Trial, Violation, check
from metricface.testing.gradients import backward
from metricface.testing.randomness import draws_nothing, seeded
from metricface.testing.tensors import carry_over, edits_nothing

_LARGEST = 4  # photos of a batch
_TOLERANCE = 1e-3  # of the largest feature; kernels for other batches and memory orders round differently


@dataclass(frozen=True, slots=True)
class BackboneOnTrial:
    """A backbone, and photos of noise in the size that it was made for."""

    trial: Trial
    backbone: nn.Module

    @property
    def spec(self) -> InputSpec:
        """What it says that it wants to see."""
        return cast(Backbone, self.backbone).input_spec

    def photos(self, size: int) -> Tensor:
        """Return (B, 3, H, W), the first photos of every larger batch."""
        pixels = self.spec.image_size
        return torch.randn(_LARGEST, 3, pixels, pixels, generator=torch.Generator().manual_seed(0))[:size].clone()

    def features(self, photos: Tensor, backbone: nn.Module | None = None) -> Tensor:
        """Return (B, F) of photos in evaluation mode."""
        network = (self.backbone if backbone is None else backbone).eval()
        with seeded(), torch.no_grad():
            found: Tensor = network(photos)
        return found


def prepare(trial: Trial) -> BackboneOnTrial:
    """Make the backbone."""
    return BackboneOnTrial(trial, _made(trial, seed=0))


def _made(trial: Trial, seed: int) -> nn.Module:
    with seeded(seed):
        made = trial.make({})
    if not isinstance(made, nn.Module):
        raise Violation(f"it makes a {type(made).__name__}, no torch.nn.Module")
    return made


def _differ(ours: Tensor, theirs: Tensor) -> bool:
    return not torch.allclose(ours, theirs, rtol=0, atol=_TOLERANCE * float(ours.abs().max()))


@check("input spec", why="Photos are resized and normalised by it, in training and wherever the model is used.")
def input_spec(on: BackboneOnTrial) -> None:
    """`input_spec` is an InputSpec: RGB mean in [0, 1], std in (0, 1], and a side length in pixels."""
    spec = getattr(on.backbone, "input_spec", None)
    if not isinstance(spec, InputSpec):
        raise Violation(f"input_spec is {spec!r}")
    colours = len(spec.mean) == len(spec.std) == 3
    if not colours or not all(0 <= mean <= 1 and 0 < std <= 1 for mean, std in zip(spec.mean, spec.std, strict=True)):
        raise Violation(f"mean {spec.mean}, std {spec.std}")
    if type(spec.image_size) is not int or spec.image_size < 1:
        raise Violation(f"image_size is {spec.image_size!r}")


@check("dims", why="The embedding layer and the model folder are made for the number that it tells.")
def dims(on: BackboneOnTrial) -> None:
    """`feature_dim` is F of the features (B, F) that it gives."""
    told, found = getattr(on.backbone, "feature_dim", None), on.features(on.photos(2))
    if type(told) is not int or found.shape != (2, told):
        raise Violation(f"photos {tuple(on.photos(2).shape)}: features {tuple(found.shape)}, feature_dim {told!r}")
    if not found.is_floating_point() or not found.isfinite().all():
        raise Violation(f"photos {tuple(on.photos(2).shape)}: features {found.dtype} that are not all finite numbers")


@check("any batch", why="The last batch of a folder has any size, and a photo must not depend on its neighbours.")
def any_batch(on: BackboneOnTrial) -> None:
    """In evaluation mode a photo has the same features alone and in a batch of any size."""
    whole = on.features(on.photos(_LARGEST))
    for size in range(1, _LARGEST):
        if _differ(whole[:size], on.features(on.photos(size))):
            raise Violation(f"the first {size} of {_LARGEST} photos have other features alone, in evaluation mode")


@check("memory order", why="Training and evaluation lay photos and weights out with the channels last.")
def memory_order(on: BackboneOnTrial) -> None:
    """Photos with their channels last in memory have the same features."""
    photos = on.photos(2)
    if _differ(on.features(photos), on.features(photos.contiguous(memory_format=torch.channels_last))):
        raise Violation(f"photos {tuple(photos.shape)}: other features with the channels last")


@check("train and eval", why="A gallery and a probe are embedded at different times.")
def train_and_eval(on: BackboneOnTrial) -> None:
    """It takes batches of two photos and more in training mode, and gives the same features twice in evaluation."""
    network = _made(on.trial, seed=0).train()
    for size in (2, 3):
        with seeded():
            found = network(on.photos(size))
        if found.shape != (size, cast(Backbone, on.backbone).feature_dim):
            raise Violation(f"photos {tuple(on.photos(size).shape)} in training mode: features {tuple(found.shape)}")
    photos = on.photos(2)
    if not torch.equal(on.features(photos, network), on.features(photos, network)):
        raise Violation(f"photos {tuple(photos.shape)}: other features the second time, in evaluation mode")


@check("gradient", why="A parameter that gets none is never trained, and stops training on several processes.")
def gradient(on: BackboneOnTrial) -> None:
    """In training mode every parameter that asks for a gradient gets one, and all are finite."""
    network = _made(on.trial, seed=0).train()
    photos = on.photos(2).requires_grad_()
    with seeded():
        backward(network(photos).square().mean(), photos, network, f"photos {tuple(photos.shape)}")


@check("state", why="The model folder holds what state_dict gives, and nothing else.")
def state(on: BackboneOnTrial) -> None:
    """Its state_dict holds tensors only, and makes another one of the same kind give the same features."""
    other = _made(on.trial, seed=3)
    others = [name for name, value in on.backbone.state_dict().items() if not isinstance(value, Tensor)]
    if others:
        raise Violation(f"{others[0]!r} of its state_dict is no tensor")
    carry_over(on.backbone, other)
    if not torch.equal(on.features(on.photos(2)), on.features(on.photos(2), other)):
        raise Violation(f"photos {tuple(on.photos(2).shape)}: other features after load_state_dict")


@check("stages", why="train.frozen_stages and train.layer_decay go by them.")
def stages(on: BackboneOnTrial) -> None:
    """`parameter_stages`, where there is one, gives the names of its own parameters, each once."""
    if not isinstance(on.backbone, HasParameterStages):
        raise Skip("it names no stages")
    named = [name for stage in on.backbone.parameter_stages() for name in stage]
    own = {name for name, _ in on.backbone.named_parameters()}
    wrong = [name for name in named if name not in own or named.count(name) > 1]
    if wrong:
        raise Violation(f"{wrong[0]!r} is {'named twice' if wrong[0] in own else 'no parameter of it'}")


@check("random state", why="A draw from a global generator changes every draw after it, and spoils a resume.")
def random_state(on: BackboneOnTrial) -> None:
    """In evaluation mode it draws from no global random number generator and seeds none."""
    photos = on.photos(1)
    draws_nothing(partial(on.backbone.eval(), photos), f"photos {tuple(photos.shape)}")


@check("inputs", why="With mirror and zoom the same photos are embedded several times.")
def inputs(on: BackboneOnTrial) -> None:
    """The photos that it is given are not edited in place, in evaluation mode and in training mode."""
    photos = on.photos(1)
    edits_nothing({"photos": photos}, partial(on.features, photos), f"photos {tuple(photos.shape)}")
    several = on.photos(2)
    network = _made(on.trial, seed=0).train()
    edits_nothing({"photos": several}, partial(network, several), f"photos {tuple(several.shape)} in training mode")


SUITE = Suite(
    prepare,
    (
        input_spec,
        dims,
        any_batch,
        memory_order,
        train_and_eval,
        gradient,
        state,
        stages,
        random_state,
        inputs,
    ),
)
