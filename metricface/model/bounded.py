"""Making a network from somebody's description without letting the description take all of the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from metricface.errors import ModelError


@contextmanager
def at_most(size: int, what: str) -> Iterator[None]:
    """Refuse to make more than so many bytes of new tensors in all, before the memory is asked for.

    Args:
        size: bytes.
        what: is made, for the message.

    Raises:
        ModelError: more would be made.
    """
    budget = _Budget(size)
    try:
        with budget:
            yield
    except Exception as error:
        if not budget.exceeded:
            raise
        raise ModelError(
            f"{what} takes far more memory than the weights beside it have. Copy the model folder again."
        ) from error


class _Budget(TorchDispatchMode):
    """Counts what torch.empty, zeros, arange and their like make, on the device of shapes alone."""

    def __init__(self, size: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._left, self.exceeded = size, False

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        given: Mapping[str, Any] = kwargs or {}
        if "device" in given and not any(isinstance(argument, torch.Tensor) for argument in args):
            of_shapes = {"device": torch.device("meta")} | ({"generator": None} if "generator" in given else {})
            made = func(*args, **{**given, **of_shapes})
            self._left -= made.nbytes if isinstance(made, torch.Tensor) else 0
            if self._left < 0:
                self.exceeded = True
                raise MemoryError
        return func(*args, **given)
