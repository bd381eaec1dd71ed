"""What is said of a loss that is not finite."""

from __future__ import annotations

import torch

from metricface.contracts import Batch
from metricface.errors import TrainingError
from metricface.training.not_finite import NotFiniteError, not_finite
from metricface.training.precision import Precision, PrecisionName
from metricface.training.state import TrainingState


def broken_at(*rows: int) -> torch.Tensor:
    embeddings = torch.ones(12, 4)
    embeddings[list(rows), 1] = torch.nan
    return embeddings


def error_of(embeddings: torch.Tensor, what: str, *, precision: PrecisionName = "fp32") -> NotFiniteError:
    """The error of step 3, of a batch of photo 0, 10, 20 and so on."""
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters())
    state = TrainingState(model, (), optimizer, precision=Precision(precision), step=3)
    numbers = torch.arange(12)
    return not_finite(state, Batch(torch.zeros(12, 3, 2, 2), numbers, numbers, numbers * 10), embeddings, what)


def test_the_photos_whose_embeddings_are_not_finite_are_named_apart() -> None:
    error = error_of(broken_at(2, 5), "loss 'x' is nan")
    assert isinstance(error, TrainingError)
    assert error.photos == (20, 50)
    assert error.told(["a/1.jpg", "b/2.jpg"]) == (
        "step 3: loss 'x' is nan. Lower optimizer.lr, or look at the photos whose embeddings are not finite: a/1.jpg, "
        "b/2.jpg."
    )


def test_where_all_or_none_are_it_is_the_whole_batch_and_a_part_of_it_is_shown() -> None:
    for embeddings in (broken_at(), broken_at(*range(12)), torch.ones(24, 4) * torch.nan):
        error = error_of(embeddings, "the gradient is not finite", precision="fp16")
        assert error.photos == tuple(range(0, 120, 10))
        assert str(error) == (
            "step 3: the gradient is not finite. Lower optimizer.lr, use train.precision fp32 (it is fp16), or look at "
            "the photos of the batch: number 0, number 10, number 20, number 30, number 40, number 50, number 60, "
            "number 70 and 4 more."
        )


def test_components_of_others_are_to_be_checked_first() -> None:
    error = error_of(broken_at(), "loss 'x' is inf")
    assert error.told(["a.jpg"], ["loss x", "head y"]) == (
        "step 3: loss 'x' is inf. Check the components of other packages: metricface plugin check loss x; metricface "
        "plugin check head y. Lower optimizer.lr, or look at the photos of the batch: a.jpg."
    )
