"""Which number format the model runs in, decided by a measurement where it may cost more than it gives."""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from metricface.machine import machine_conditions
from metricface.training.measured_before import recall, remember

PrecisionName = Literal["fp32", "bf16", "fp16"]

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_LEAST_GAIN = 1.1
_LEAST_COSINE = 0.99
_HOPELESS = 1 / 3  # of the speed of fp32


@dataclass(frozen=True, slots=True)
class Precision:
    """The number format of the model's forward pass; head and losses always run in float32.

    Args:
        name: what is used.
        reason: one line on why, for the screen and the run record.
    """

    name: PrecisionName = "fp32"
    reason: str = "fp32 as asked"

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """Return the autocast context of the forward pass."""
        if self.name == "fp32":
            return nullcontext()
        return torch.autocast(device.type, dtype=_DTYPES[self.name])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the checkpoint and the run record."""
        return asdict(self)


def decide_precision(
    wanted: PrecisionName,
    model: nn.Module,
    device: torch.device,
    images: Tensor,
    *,
    repeats: int = 3,
    conditions: Mapping[str, Any] | None = None,
) -> Precision:
    """Return `wanted`, or fp32 where a check on this machine shows that `wanted` is slower or wrong.

    Reduced precision is kept when a forward and backward pass is at least 1.1 times as fast as in fp32 and the
    embeddings keep a mean cosine of 0.99 with those of fp32. bf16 convolutions are many times slower, or wrong, on
    some processors (pytorch issues 183815, 163347, 169688): there two photos are enough to see it. The model itself is
    not touched: a copy runs.

    Args:
        wanted: "fp32", "bf16" or "fp16" (CUDA only).
        model: images (B, 3, H, W) to embeddings (B, D).
        device: where it will train.
        images: (B, 3, H, W) float32 to try it on, B >= 2.
        repeats: timed passes of each; the fastest counts.
        conditions: what the answer depends on besides machine, torch and `wanted`; equal ones are measured once on a
            machine. None measures every time.
    """
    if wanted == "fp32":
        return Precision()
    if wanted == "fp16" and device.type != "cuda":
        return Precision("fp32", f"fp32: fp16 needs CUDA and this run is on {device.type}")
    if conditions is None:
        return _measured(wanted, model, device, images, repeats)
    return _measured_once(wanted, model, device, images, repeats, conditions)


def _measured_once(
    wanted: PrecisionName,
    model: nn.Module,
    device: torch.device,
    images: Tensor,
    repeats: int,
    conditions: Mapping[str, Any],
) -> Precision:
    """Return what was decided on this machine under equal conditions; measure, and keep it, where nothing was."""
    everything = {**conditions, **machine_conditions(device), "precision": wanted, "photos": len(images)}
    found = recall(everything) or {}
    name, reason = found.get("name"), found.get("reason")
    if name in ("fp32", wanted) and isinstance(reason, str):
        return Precision(name, f"{name}: measured before on this machine: {reason.removeprefix(f'{name}: ')}")
    with torch.random.fork_rng(
        [device] if device.type == "cuda" else []
    ):  # a run that need not measure trains the same
        decided = _measured(wanted, model, device, images, repeats)
    remember(everything, decided.to_dict())
    return decided


def _measured(wanted: PrecisionName, model: nn.Module, device: torch.device, images: Tensor, repeats: int) -> Precision:
    """Return `wanted` if it is right and pays, else fp32."""
    trial = _without_chance(copy.deepcopy(model).to(device).train())
    images = images.to(device, memory_format=torch.channels_last)
    if device.type == "cpu" and (gain := _gain_on_two(wanted, trial, images)) < _HOPELESS:
        found = f"{gain:.2g} times the speed of fp32 on two photos, more were not tried"
        return Precision("fp32", f"fp32: {wanted} does not pay on this machine ({found})")
    candidates = {"fp32": Precision(), wanted: Precision(wanted)}
    embeddings: dict[str, Tensor] = {}
    seconds = dict.fromkeys(candidates, float("inf"))
    for repeat in range(repeats + 1):
        for name, precision in candidates.items():
            embeddings[name], taken = _pass(trial, images, precision, device)
            if repeat > 0:  # the first pass warms up
                seconds[name] = min(seconds[name], taken)
    cosine = float(nn.functional.cosine_similarity(embeddings["fp32"], embeddings[wanted]).mean())
    gain = seconds["fp32"] / seconds[wanted]
    measured = f"{gain:.2f} times the speed of fp32, mean cosine to its embeddings {cosine:.4f}"
    if not cosine >= _LEAST_COSINE:
        return Precision("fp32", f"fp32: {wanted} is wrong on this machine ({measured})")
    if gain < _LEAST_GAIN:
        return Precision("fp32", f"fp32: {wanted} does not pay on this machine ({measured})")
    return Precision(wanted, f"{wanted}: {measured}")


def _gain_on_two(wanted: PrecisionName, trial: nn.Module, images: Tensor) -> float:
    """Return how many times as fast as fp32 one pass over two photos is; a second pass where the first looks hopeless.

    The first pass of a kind prepares its kernels, which alone may take longer than the pass.
    """

    def seconds(name: PrecisionName) -> float:
        return _pass(trial, images[:2], Precision(name), images.device)[1]

    in_full = min(seconds("fp32") for _ in range(2))
    gain = in_full / seconds(wanted)
    return gain if gain >= _HOPELESS else max(gain, in_full / seconds(wanted))


def _without_chance(model: nn.Module) -> nn.Module:
    """Put dropout and stochastic depth into evaluation mode, which would make the embeddings of every pass differ."""
    for module in model.modules():
        parts = itertools.chain(module.children(), module.parameters(), module.buffers())
        if next(parts, None) is None:  # a layer that learns nothing and counts nothing
            module.eval()
    return model


def _pass(model: nn.Module, images: Tensor, precision: Precision, device: torch.device) -> tuple[Tensor, float]:
    """Run forward and backward; return the embeddings in float32 and the seconds it took."""
    started = time.perf_counter()
    with precision.autocast(device):
        embeddings = model(images)
    if embeddings.requires_grad:  # not where all of the model is frozen
        embeddings.float().square().mean().backward()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    taken = time.perf_counter() - started
    model.zero_grad(set_to_none=True)
    return embeddings.detach().float(), taken
