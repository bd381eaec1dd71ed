"""Refusing weights with NaN in them, which would make every embedding NaN."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from metricface.errors import ModelError


def refuse_nan(weights: Mapping[str, Tensor], where: str, way_out: str) -> None:
    """Refuse tensors that are not all numbers, by the name of the first.

    Args:
        weights: name -> tensor, as they were read.
        where: what they were read from, for the message.
        way_out: what to do, for the message.

    Raises:
        ModelError: one holds a NaN. Infinities pass: masks of attention hold them on purpose.
    """
    for name, tensor in weights.items():
        if tensor.is_floating_point() and bool((broken := tensor.float().isnan()).any()):
            count = f"{int(broken.sum()):,} of {tensor.numel():,} numbers"
            raise ModelError(f"{where} has NaN in {name!r} ({count}), from training that went wrong. {way_out}")
