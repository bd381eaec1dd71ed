"""Labels as column numbers."""

from __future__ import annotations

from torch import Tensor

from metricface.errors import TrainingError


def check_labels(labels: Tensor, num_classes: int, *, where: str = "head") -> None:
    """Refuse labels (B,) that name no class, before they index a tensor.

    On CUDA an index out of range kills the process with an error about some later kernel. This check fetches two
    numbers there, which waits for the device once a step, as the check for finite losses does anyway.

    Args:
        labels: (B,) int64.
        num_classes: labels run from 0 to one below.
        where: what to call the component in the error.

    Raises:
        TrainingError: a label is below 0 or not below `num_classes` (names it).
    """
    if not len(labels):
        return
    for label in labels.aminmax():
        if not 0 <= (number := int(label)) < num_classes:
            raise TrainingError(
                f"{where}: label {number} is none of the {num_classes} classes, which run from 0 to {num_classes - 1}. "
                f"Build the {where} with the num_classes of the data that it is trained on."
            )
