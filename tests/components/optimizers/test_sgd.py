from __future__ import annotations

import pytest
import torch

from metricface.components.optimizers.sgd import sgd
from metricface.errors import RecipeError


@pytest.mark.parametrize("nesterov", [False, True])
def test_two_steps_by_the_formula(nesterov):
    parameter = torch.tensor([2.0], requires_grad=True)
    optimizer = sgd(
        parameter_groups=[{"params": [parameter]}], lr=0.1, weight_decay=0.5, momentum=0.8, nesterov=nesterov
    )
    value, velocity = 2.0, 0.0
    for slope in (3.0, -1.0):
        parameter.grad = torch.tensor([slope])
        optimizer.step()
        gradient = slope + 0.5 * value
        velocity = 0.8 * velocity + gradient
        value -= 0.1 * (gradient + 0.8 * velocity if nesterov else velocity)
        assert parameter.item() == pytest.approx(value, rel=1e-5)


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(RecipeError) as caught:
        sgd(parameter_groups=[{"params": [torch.zeros(1)]}], momentum=0.0, nesterov=True)
    assert str(caught.value) == (
        "optimizer.nesterov: needs momentum above 0 (got 0). Set momentum = 0.9 or leave it out."
    )


def test_what_a_group_sets_for_itself_wins():
    groups = [{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)], "weight_decay": 0.0}]
    assert [group["weight_decay"] for group in sgd(parameter_groups=groups).param_groups] == [5e-4, 0.0]
