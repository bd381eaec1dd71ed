from __future__ import annotations

import pytest
import torch

from metricface.components.optimizers.adamw import adamw


def test_two_steps_by_the_formula():
    parameter = torch.tensor([2.0], requires_grad=True)
    optimizer = adamw(parameter_groups=[{"params": [parameter]}], lr=0.1, weight_decay=0.5, betas=(0.8, 0.9))
    value, mean, square = 2.0, 0.0, 0.0
    for step, slope in enumerate((3.0, -1.0), start=1):
        parameter.grad = torch.tensor([slope])
        optimizer.step()
        mean, square = 0.8 * mean + 0.2 * slope, 0.9 * square + 0.1 * slope**2
        value *= 1 - 0.1 * 0.5
        value -= 0.1 * (mean / (1 - 0.8**step)) / ((square / (1 - 0.9**step)) ** 0.5 + 1e-8)
        assert parameter.item() == pytest.approx(value, rel=1e-5)


def test_what_a_group_sets_for_itself_wins():
    groups = [{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)], "weight_decay": 0.0}]
    assert [group["weight_decay"] for group in adamw(parameter_groups=groups).param_groups] == [0.05, 0.0]
