"""Gradients: finite, complete, and those of the function that is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from metricface.testing.engine import Violation

_STEP = 1e-6
_RELATIVE, _ABSOLUTE = 1e-4, 1e-7


class _Float64(TorchFunctionMode):
    """Gives float64 to whoever asks for float32, so that what is float32 on purpose can be differentiated exactly."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.float:
            return args[0].double()
        wide = [torch.float64 if value is torch.float32 else value for value in args]
        named = {key: torch.float64 if value is torch.float32 else value for key, value in (kwargs or {}).items()}
        return func(*wide, **named)


@contextmanager
def in_float64() -> Iterator[None]:
    """Make and run everything in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Float64():
            yield
    finally:
        torch.set_default_dtype(before)


def backward(value: Tensor, embeddings: Tensor, part: object, case: str) -> Tensor:
    """Return the gradient at the embeddings; every parameter of `part` must get one too, and all must be finite."""
    if not value.requires_grad:
        raise Violation(f"{case}: the result does not depend on the embeddings, so that backward() stops the run")
    parameters = dict(part.named_parameters()) if isinstance(part, nn.Module) else {}
    trained = {name: parameter for name, parameter in parameters.items() if parameter.requires_grad}
    at, *others = torch.autograd.grad(value, [embeddings, *trained.values()], allow_unused=True)
    for name, gradient in {"the embeddings": at, **dict(zip(trained, others, strict=True))}.items():
        if gradient is not None and not gradient.isfinite().all():
            raise Violation(f"{case}: the gradient at {name} is {first_not_finite(gradient)}")
    unused = [name for name, gradient in zip(trained, others, strict=True) if gradient is None]
    if unused:
        raise Violation(f"{case}: its parameter {unused[0]!r} gets no gradient")
    return torch.zeros_like(embeddings) if at is None else at


def first_not_finite(values: Tensor) -> str:
    """Return "nan" or "inf", and where it stands."""
    place = (~values.isfinite()).nonzero()[0].tolist()
    return f"{float(values.detach()[tuple(place)])} at {place}"


def check_gradient(function: Callable[[Tensor], Tensor], at: Tensor, case: str) -> None:
    """Compare autograd's gradient of a scalar function with central differences of its value.

    Args:
        function: made anew in each call where it has state; called in float64.
        at: float64.
        case: what was put in.
    """
    with in_float64():
        embeddings = at.clone().requires_grad_()
        value = function(embeddings)
        (found,) = torch.autograd.grad(value, embeddings, allow_unused=True)
        found = torch.zeros_like(at) if found is None else found
        wanted = torch.zeros_like(at)
        for number in range(at.numel()):
            for sign in (1, -1):
                moved = at.clone()
                moved.view(-1)[number] += sign * _STEP
                wanted.view(-1)[number] += sign * function(moved).detach() / (2 * _STEP)
        difference = (found - wanted).abs()
        if not bool((difference <= _ABSOLUTE + _RELATIVE * wanted.abs().max()).all()):
            worst = int(difference.nan_to_num(nan=torch.inf).argmax())
            place = [worst // at.shape[1], worst % at.shape[1]]
            theirs, ours = float(found.view(-1)[worst]), float(wanted.view(-1)[worst])
            raise Violation(
                f"{case}: at {place} of the embeddings the gradient is {theirs:.6g}, and by differences {ours:.6g}"
            )
