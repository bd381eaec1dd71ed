"""What to say of a loss or gradient that is not finite: which photos were there, and what to try."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from metricface.contracts import Batch
from metricface.errors import TrainingError
from metricface.training.precision import PrecisionName
from metricface.training.state import TrainingState

_LISTED = 8


class NotFiniteError(TrainingError):
    """A loss or the gradient is not finite, and nothing was updated.

    Args:
        what: that is, and at which step.
        precision: of the run.
        photos: indices in the train split: of the photos whose embeddings are not finite where that holds for a part of
            the batch, else of the whole batch.
        apart: whether they are a part of it.
    """

    def __init__(self, what: str, precision: PrecisionName, photos: Sequence[int], *, apart: bool) -> None:
        self._what, self._precision, self.photos, self._apart = what, precision, tuple(photos), apart
        super().__init__(self.told([f"number {index}" for index in self.photos]))

    def told(self, photos: Sequence[str], others: Sequence[str] = ()) -> str:
        """Return the message.

        Args:
            photos: names of `photos`, in their order, for instance paths.
            others: components of other packages, as `metricface plugin check` takes them.
        """
        checks = "; ".join(f"metricface plugin check {other}" for other in others)
        checks = checks and f"Check the components of other packages: {checks}. "
        fp32 = "" if self._precision == "fp32" else f"use train.precision fp32 (it is {self._precision}), "
        more = f" and {len(photos) - _LISTED} more" if len(photos) > _LISTED else ""
        which = "the photos whose embeddings are not finite" if self._apart else "the photos of the batch"
        return (
            f"{self._what}. {checks}Lower optimizer.lr, {fp32}or look at {which}: {', '.join(photos[:_LISTED])}{more}."
        )


def not_finite(state: TrainingState, batch: Batch, embeddings: Tensor, what: str) -> NotFiniteError:
    """Return the error of a step, with the photos that are to blame where only some embeddings are not finite.

    Args:
        state: at the step.
        batch: of this process.
        embeddings: (B, D) of it; where they are those of several processes, no photos are told apart.
        what: is not finite.
    """
    broken = ~torch.isfinite(embeddings.detach()).all(dim=1)  # (B,)
    apart = len(embeddings) == len(batch.indices) and bool(broken.any()) and not bool(broken.all())
    photos = batch.indices[broken] if apart else batch.indices
    return NotFiniteError(f"step {state.step}: {what}", state.precision.name, photos.tolist(), apart=apart)
