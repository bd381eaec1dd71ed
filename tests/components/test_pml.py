"""What of pytorch-metric-learning a recipe may name, and what its classes take."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
import torch
from pytorch_metric_learning import distances, losses, miners, reducers, regularizers

from metricface.components import _pml as pml
from metricface.contracts import KeysOf
from metricface.errors import RecipeError

CHOICES = {
    "loss": (losses, pml.LOSSES),
    "miner": (miners, pml.MINERS),
    "distance": (distances, pml.TABLES["distance"]),
    "reducer": (reducers, pml.TABLES["reducer"]),
    "regularizer": (regularizers, pml.TABLES["weight_regularizer"]),
}
FILLED = {"num_classes": 3, "embedding_size": 4, "descriptors_dim": 4}
# What a class cannot be made without.
REQUIRED: dict[str, dict[str, Any]] = {
    "RankedListLoss": {"margin": 0.4, "Tn": 5.0},
    "ClassWeightedReducer": {"weights": [1.0, 2.0, 0.5]},
    "SparseCentersRegularizer": {"centers_per_class": 2},
    "ThresholdReducer": {"low": 0.0},
}
NAMES = [(choice, name) for _, choice in CHOICES.values() for name in choice.signatures()]
IDS = [name for _, name in NAMES]


def make(choice: KeysOf, name: str, **arguments: Any) -> torch.nn.Module:
    return pml.make(choice, name, {**REQUIRED.get(name, {}), **arguments}, where="loss pml", **FILLED)


@pytest.mark.parametrize("what", CHOICES)
def test_every_class_may_be_named_or_there_is_a_reason(what: str) -> None:
    module, choice = CHOICES[what]
    everything = {name for name, value in vars(module).items() if inspect.isclass(value)}
    assert everything - set(choice.signatures()) == everything & set(pml.EXCLUDED)
    assert len(choice.signatures()) >= 4


def test_no_reason_is_left_over() -> None:
    everything = {name for module, _ in CHOICES.values() for name in vars(module)}
    assert set(pml.EXCLUDED) <= everything
    assert set(REQUIRED) <= set(IDS)


@pytest.mark.parametrize(("choice", "name"), NAMES, ids=IDS)
def test_every_parameter_can_be_set_to_its_default(choice: KeysOf, name: str) -> None:
    signature = choice.signatures()[name]
    assert not FILLED.keys() & signature.parameters.keys()
    made = make(choice, name)
    for parameter in signature.parameters.values():
        assert parameter.annotation is not parameter.empty
        if parameter.default is not parameter.empty and parameter.name not in REQUIRED.get(name, {}):
            assert type(make(choice, name, **{parameter.name: parameter.default})) is type(made)


def test_angles_in_degrees_are_labelled_so_and_the_library_means_degrees() -> None:
    found = {
        f"{name}.{parameter.name}"
        for choice, name in NAMES
        for parameter in choice.signatures()[name].parameters.values()
        if "degrees" in str(parameter.annotation)
    }
    assert found == {
        *("AngularLoss.alpha", "AngularMiner.angle", "ArcFaceLoss.margin"),
        *("SubCenterArcFaceLoss.margin", "TupletMarginLoss.margin"),
    }
    for key in found:
        name, argument = key.split(".")
        choice = pml.MINERS if name.endswith("Miner") else pml.LOSSES
        assert float(getattr(make(choice, name, **{argument: 30.0}), argument)) == pytest.approx(math.pi / 6)


def test_whole_numbers_stay_whole_and_defaults_are_written_as_a_user_would() -> None:
    parameters = pml.LOSSES.signatures()["SubCenterArcFaceLoss"].parameters
    assert repr(parameters["scale"].default) == "64.0"
    assert repr(parameters["sub_centers"].default) == "3"


REFUSED = {
    "unknown": (
        lambda: make(pml.LOSSES, "TripletLoss"),
        "loss pml: unknown loss 'TripletLoss'. Did you mean \"SoftTripleLoss\"? There are: AngularLoss, ArcFaceLoss, ",
    ),
    "excluded": (
        lambda: make(pml.LOSSES, "CrossBatchMemory"),
        "loss pml: loss 'CrossBatchMemory' cannot be named in a recipe: it stands around another loss: "
        "name that one and set memory_size",
    ),
    "inside": (
        lambda: make(pml.LOSSES, "TripletMarginLoss", distance={"name": "Lp"}),
        "loss pml: unknown distance 'Lp'. There are: CosineSimilarity, ",
    ),
    "a distance that the loss does not go with": (
        lambda: make(pml.LOSSES, "CircleLoss", m=0.3, distance={"name": "LpDistance"}),
        "loss pml: CircleLoss of pytorch-metric-learning refuses its arguments (AssertionError: CircleLoss requires "
        "the distance metric to be CosineSimilarity; got m = 0.3, distance = {'name': 'LpDistance'}). Change them; "
        "metricface show loss pml lists what there is.",
    ),
    "weights": (
        lambda: make(pml.LOSSES, "NCALoss", reducer={"name": "ClassWeightedReducer", "weights": [1.0]}),
        "loss pml: weights of ClassWeightedReducer must be one number for each of the 3 classes, in label order "
        "(got 1).",
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_made_is_refused(why: str) -> None:
    making, message = REFUSED[why]
    with pytest.raises(RecipeError) as caught:
        making()
    assert str(caught.value).startswith(message)
