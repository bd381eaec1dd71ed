from __future__ import annotations

import numpy as np
import pytest
import torch

from metricface.contracts import LossInput
from metricface.errors import DataError, RecipeError
from metricface.functional.logits import counts_of_all, logits_and_targets


def test_what_the_head_gave_comes_back():
    logits, targets = torch.zeros(2, 3), torch.tensor([0, 2])
    given = LossInput(torch.zeros(2, 4), torch.tensor([5, 6]), logits, targets)
    assert logits_and_targets(given, loss="x", head="y") == (logits, targets)


def test_no_head_is_refused_with_one_that_would_do():
    with pytest.raises(RecipeError) as caught:
        logits_and_targets(LossInput(torch.zeros(1, 2), torch.tensor([0])), loss="bce", head='name = "linear"')
    assert str(caught.value) == 'loss bce: there are no logits. Add a [head], for instance name = "linear".'


def test_counts_become_floats():
    assert counts_of_all(np.array([3, 1]), setting="x").tolist() == [3.0, 1.0]


def test_missing_counts_and_empty_classes_are_refused():
    with pytest.raises(RecipeError) as missing:
        counts_of_all(None, setting="loss x: y")
    assert str(missing.value) == (
        "loss x: y needs class_counts, the photos of each class in the train split (got none). "
        "Pass class_counts to the loss."
    )
    with pytest.raises(DataError) as empty:
        counts_of_all(np.array([3, 0, 2]), setting="loss x: y")
    assert str(empty.value) == (
        "loss x: y needs photos of every class (got none of class 1 of 3). "
        "Add photos of it to the train split or take the class out."
    )
