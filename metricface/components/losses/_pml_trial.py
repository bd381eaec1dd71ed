"""Trying a loss of pytorch-metric-learning on a made-up batch, before any data is there."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from metricface.components import _pml as pml
from metricface.errors import RecipeError

_PEOPLE, _PHOTOS, _DIM = 4, 16, 32
_REGULARIZERS = ("embedding_regularizer", "weight_regularizer")  # they train, whatever the loss does


def cautions(loss: str, arguments: Mapping[str, Any]) -> list[str]:
    """Return why a loss would train nothing with these arguments, as lines for the user; [] where it would.

    It is tried in some milliseconds on features as a network with ReLU gives them at first, where no loss that looks
    at the batch can be content: some photos of two people are nearer than some of one. torch's generators stay as they
    are.

    Args:
        loss: name of the class.
        arguments: its constructor's, checked, as a recipe has them.
    """
    features, labels = trial_batch()
    tried = {key: value for key, value in arguments.items() if key not in _REGULARIZERS}
    filled = {"num_classes": _PEOPLE, "embedding_size": _DIM, "descriptors_dim": _DIM}
    what = f"{loss} with {_distance(arguments)}"
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library, and said in training too
        torch.default_generator.manual_seed(0)
        try:
            made = pml.make(pml.LOSSES, loss, tried, where="loss pml", **filled)
        except RecipeError:  # arguments that fit the data's number of people, or none: build says it
            return []
        try:
            value: Tensor = made(features.requires_grad_(), labels)
        except Exception as error:
            said = f"{type(error).__name__}: {' '.join(str(error).split())}"
            return [f"{what} fails on a trial batch ({said}). Take another distance or other arguments."]
    if value.requires_grad and torch.autograd.grad(value, features)[0].any():
        return []
    unit = F.normalize(features.detach())
    cosines = (unit @ unit.T)[~torch.eye(_PHOTOS, dtype=torch.bool)]
    return [
        f"{what} gives {float(value.detach()):g} without any gradient on a trial batch of photos that it should tell "
        f"apart (cosines {float(cosines.min()):.2f} to {float(cosines.max()):.2f}): it would train nothing. "
        + _way_out(arguments)
    ]


def trial_batch() -> tuple[Tensor, Tensor]:
    """Return features (B, D), all at least 0, of people who overlap, and their labels (B,)."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(_PHOTOS) % _PEOPLE
    centres = torch.randn(_PEOPLE, _DIM, generator=generator)
    return F.relu(centres[labels] + 1.5 * torch.randn(_PHOTOS, _DIM, generator=generator)), labels


def _distance(arguments: Mapping[str, Any]) -> str:
    distance = arguments.get("distance")
    return "its usual distance" if distance is None else f"the distance {distance['name']}"


def _way_out(arguments: Mapping[str, Any]) -> str:
    if "pos_margin" in arguments and "neg_margin" in arguments:
        return (
            "With a similarity pos_margin lies above neg_margin, with a distance below it "
            f"(got pos_margin {arguments['pos_margin']}, neg_margin {arguments['neg_margin']})."
        )
    return "Change its arguments; metricface show loss pml lists what there is."
