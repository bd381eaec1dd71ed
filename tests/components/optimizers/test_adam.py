from __future__ import annotations

import pytest
import torch

from metricface.components.optimizers.adam import adam


def test_two_steps_by_the_formula():
    parameter = torch.tensor([2.0], requires_grad=True)
    optimizer = adam(parameter_groups=[{"params": [parameter]}], lr=0.1, weight_decay=0.5, betas=(0.8, 0.9))
    value, mean, square = 2.0, 0.0, 0.0
    for step, slope in enumerate((3.0, -1.0), start=1):
        parameter.grad = torch.tensor([slope])
        optimizer.step()
        gradient = slope + 0.5 * value
        mean, square = 0.8 * mean + 0.2 * gradient, 0.9 * square + 0.1 * gradient**2
        value -= 0.1 * (mean / (1 - 0.8**step)) / ((square / (1 - 0.9**step)) ** 0.5 + 1e-8)
        assert parameter.item() == pytest.approx(value, rel=1e-5)


def test_what_a_group_sets_for_itself_wins():
    groups = [{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)], "weight_decay": 0.0, "lr": 0.5}]
    found = adam(parameter_groups=groups, lr=0.1, weight_decay=0.2).param_groups
    assert [(group["lr"], group["weight_decay"]) for group in found] == [(0.1, 0.2), (0.5, 0.0)]
