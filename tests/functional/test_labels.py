from __future__ import annotations

import pytest
import torch

from metricface.errors import TrainingError
from metricface.functional.labels import check_labels


@pytest.mark.parametrize("label", [4, -1])
def test_a_label_without_a_class_is_refused_by_name(label):
    with pytest.raises(TrainingError) as caught:
        check_labels(torch.tensor([0, label, 3]), num_classes=4)
    assert str(caught.value) == (
        f"head: label {label} is none of the 4 classes, which run from 0 to 3. "
        "Build the head with the num_classes of the data that it is trained on."
    )


def test_labels_of_the_classes_and_an_empty_batch_pass():
    check_labels(torch.tensor([0, 3]), num_classes=4)
    check_labels(torch.empty(0, dtype=torch.int64), num_classes=4)


def test_the_component_is_named():
    with pytest.raises(TrainingError, match=r"^loss arcface: label 4 .* Build the loss arcface with the num_classes"):
        check_labels(torch.tensor([4]), num_classes=4, where="loss arcface")
