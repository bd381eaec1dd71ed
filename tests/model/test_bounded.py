from __future__ import annotations

import pytest
import torch
from torch import nn

from metricface.errors import ModelError
from metricface.model.bounded import at_most


def test_what_fits_is_made_as_without_a_bound() -> None:
    def made() -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(3)
        torch.manual_seed(5)
        layer = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
        drawn = [torch.randperm(9, generator=generator), torch.rand(2, generator=generator), torch.arange(4)]
        return [*layer.state_dict().values(), *drawn, torch.tensor([1.0, 2.0])]

    with at_most(2**12, "a layer"):
        found = made()
    assert all(torch.equal(one, other) for one, other in zip(found, made(), strict=True))


def test_the_sum_counts_and_the_bytes_may_be_used_up() -> None:
    with at_most(4000, "a layer"):
        torch.zeros(500), torch.ones(500)
    with pytest.raises(ModelError) as caught, at_most(3999, "a layer"):
        torch.zeros(500), torch.ones(500)
    assert str(caught.value) == (
        "a layer takes far more memory than the weights beside it have. Copy the model folder again."
    )


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(KeyError), at_most(8, "a layer"):
        {}["x"]
