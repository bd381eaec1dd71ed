"""All that training changes: exactly what a checkpoint saves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from metricface.contracts import HasState, Head, Loss, Miner, Result, Schedule, photo_facts_of
from metricface.training.distributed import Gather, gather
from metricface.training.parameters import regroup
from metricface.training.precision import Precision

if TYPE_CHECKING:
    from timm.utils.model_ema import ModelEmaV3


@dataclass(frozen=True, slots=True)
class LossTerm:
    """One loss of the weighted sum, under the name that the journal shows."""

    name: str
    loss: Loss
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Best:
    """The best epoch so far: 0-based, with the value of the selected metric."""

    epoch: int
    value: float


@dataclass
class TrainingState:
    """The moving parts of a run.

    Args:
        model: images to embeddings.
        losses: the terms of the sum.
        optimizer: over the parameters of model, head and losses; a group's `lr_scale` is a factor on its learning rate.
        schedule: step -> factor on each group's learning rate; None keeps them.
        head: embeddings to logits, or None.
        miner: chooses pairs for the losses, or None.
        ema: decay of the averaged copy of model and head that is evaluated and shipped, 0 for none.
        precision: number format of the forward pass.
        gradient_clip: largest total gradient norm, 0 for no limit.
        gather: see training/distributed.py.
        step: optimizer steps done; epoch: epochs done; position: batches done in the current epoch.
        best: the best epoch so far, if one is selected.
    """

    model: nn.Module
    losses: tuple[LossTerm, ...]
    optimizer: torch.optim.Optimizer
    schedule: Schedule | None = None
    head: Head | None = None
    miner: Miner | None = None
    ema: float = 0.0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: Precision = field(default_factory=Precision)
    gradient_clip: float = 0.0
    gather: Gather = gather
    step: int = 0
    epoch: int = 0
    position: int = 0
    best: Best | None = None

    def __post_init__(self) -> None:
        self.set_precision(self.precision)
        # Of "conditions" and "indices"; looked up here, so that no step has to.
        self.head_asks, self.miner_asks = photo_facts_of(self.head), photo_facts_of(self.miner)
        self.average: ModelEmaV3 | None = None
        if self.ema:
            from timm.utils.model_ema import ModelEmaV3  # not at the top: `runs list` reads journals without timm

            self.average = ModelEmaV3(self._averaged(), decay=self.ema, use_warmup=True)
        for group in self.optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])

    @property
    def evaluated_model(self) -> nn.Module:
        """The model that is evaluated and shipped: the average if there is one."""
        if self.average is None:
            return self.model
        model: nn.Module = self.average.module[0]
        return model

    @property
    def evaluated_head(self) -> Head | None:
        """The head that belongs to `evaluated_model`."""
        if self.average is None or not isinstance(self.head, nn.Module):
            return self.head
        head: Head = self.average.module[1]
        return head

    @property
    def trained_parameters(self) -> list[Tensor]:
        """All parameters that the optimizer moves."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def set_precision(self, precision: Precision) -> None:
        """Use this number format from now on; fp16 gets a gradient scaler."""
        self.precision = precision
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision.name == "fp16")

    def update_average(self) -> None:
        """Move the averaged copy, if there is one, towards the weights of the step that is done."""
        if self.average is not None:
            self.average.update(self._averaged(), step=self.step)

    def apply_schedule(self) -> float:
        """Set every group's learning rate for the coming step; return the first group's before its `lr_scale`."""
        factor = 1.0 if self.schedule is None else self.schedule(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor * group.get("lr_scale", 1.0)
        return float(self.optimizer.param_groups[0]["initial_lr"] * factor)

    def state_dict(self) -> dict[str, Any]:
        """Return tensors, numbers, strings, lists and dicts only: loadable with weights_only."""
        return {
            "parts": {name: part.state_dict() for name, part in self._parts().items()},
            "counters": {"step": self.step, "epoch": self.epoch, "position": self.position},
            "best": None if self.best is None else {"epoch": self.best.epoch, "value": self.best.value},
            "precision": self.precision.to_dict(),
            "rng": {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()},
        }

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Take everything over from `state_dict()`, the random number generators included.

        Raises:
            KeyError, RuntimeError: it was saved by a run of another shape.
        """
        self.set_precision(Precision(**saved["precision"]))
        modules = [part for part in self._parts().values() if isinstance(part, nn.Module)]
        regroup(self.optimizer, saved["parts"]["optimizer"], nn.ModuleList(modules).parameters())
        for name, part in self._parts().items():
            part.load_state_dict(saved["parts"][name])
        self.step, self.epoch, self.position = (saved["counters"][key] for key in ("step", "epoch", "position"))
        self.best = None if saved["best"] is None else Best(**saved["best"])
        torch.set_rng_state(saved["rng"]["cpu"])
        if saved["rng"]["cuda"] and len(saved["rng"]["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(saved["rng"]["cuda"])

    def _averaged(self) -> nn.ModuleList:
        return nn.ModuleList(part for part in (self.model, self.head) if isinstance(part, nn.Module))

    def _parts(self) -> dict[str, Any]:
        """Everything with a state of its own, by the name that the checkpoint uses."""
        candidates: dict[str, Any] = {
            "model": self.model,
            "head": self.head,
            "miner": self.miner,
            "average": self.average,
            "optimizer": self.optimizer,
            "scaler": self.scaler,
            **{f"loss.{number}.{term.name}": term.loss for number, term in enumerate(self.losses)},
        }
        return {name: part for name, part in candidates.items() if isinstance(part, HasState)}


@dataclass(frozen=True, slots=True)
class StepDone:
    """What one step did: unweighted losses by name, gradient norm before clipping, the learning rate before scales."""

    step: int
    epoch: int
    losses: Mapping[str, float]
    grad_norm: float
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation after an epoch (0-based): results by evaluator."""

    step: int
    epoch: int
    results: Mapping[str, Result]


Observer = Callable[[StepDone | Evaluated], None]
