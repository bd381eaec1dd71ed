"""The loop around train_step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metricface.contracts.results import Result
from metricface.data.loader import TrainLoader
from metricface.errors import Interrupted
from metricface.training.checkpoint import save_checkpoint
from metricface.training.interruption import Interruption
from metricface.training.pace import evaluates
from metricface.training.state import Best, Evaluated, Observer, TrainingState
from metricface.training.step import train_step

Evaluate = Callable[[TrainingState], Mapping[str, Result]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to train and what to keep.

    Args:
        epochs: passes over the sampler's epoch.
        last: the checkpoint that a resumed run goes on from.
        best: the checkpoint of the best epoch.
        recipe_digest: what the checkpoints belong to.
        evaluate_every: epochs between evaluations; the last epoch is always evaluated.
        select: results of an evaluation -> the value to maximise; None keeps no best.
        patience: evaluations in a row without a better value after which training stops, 0 for never; needs `select`.
    """

    epochs: int
    last: Path
    best: Path
    recipe_digest: str
    evaluate_every: int = 1
    select: Callable[[Mapping[str, Result]], float] | None = None
    patience: int = 0

    def evaluates(self, epoch: int) -> bool:
        """Whether this epoch (0-based) is evaluated."""
        return evaluates(epoch, self.epochs, self.evaluate_every)

    def out_of_patience(self, state: TrainingState) -> bool:
        """Whether training stops early, decided from what a checkpoint holds: a resumed run stops at the same epoch."""
        if self.patience == 0 or state.best is None:
            return False
        return sum(map(self.evaluates, range(state.best.epoch + 1, state.epoch))) >= self.patience


def fit(
    state: TrainingState,
    loader: TrainLoader,
    evaluate: Evaluate,
    plan: Plan,
    interruption: Interruption,
    observers: Sequence[Observer] = (),
) -> None:
    """Train from where the state stands to the end of the plan, or until it is out of patience.

    `plan.last` is written after every epoch's training, after its evaluation, and when the run is interrupted: at any
    step, or in an evaluation, which a resumed run then does again.

    Raises:
        Interrupted: SIGINT or SIGTERM arrived; `plan.last` is written.
        TrainingError: a loss or gradient is not finite; `plan.last` is that of the epoch before.
    """

    def save(path: Path) -> None:
        save_checkpoint(path, state, plan.recipe_digest)

    try:
        while state.epoch < plan.epochs and not plan.out_of_patience(state):
            _train_epoch(state, loader, interruption, observers)
            with interruption.hold():
                save(plan.last)
            results = evaluate(state) if plan.evaluates(state.epoch) else None
            with interruption.hold():
                if results is not None and _finish(state, results, plan, observers):
                    save(plan.best)
                state.epoch, state.position = state.epoch + 1, 0
                save(plan.last)
    except Interrupted:
        with interruption.hold():
            save(plan.last)
        raise


def _train_epoch(
    state: TrainingState, loader: TrainLoader, interruption: Interruption, observers: Sequence[Observer]
) -> None:
    """Do the steps of the current epoch that are not done yet."""
    state.model.train()
    for batch in loader.epoch(state.epoch, start=state.position):
        with interruption.hold():
            done = train_step(state, batch)
            for observe in observers:
                observe(done)


def _finish(state: TrainingState, results: Mapping[str, Result], plan: Plan, observers: Sequence[Observer]) -> bool:
    """Tell the observers of an evaluation; return whether it is the best so far."""
    evaluated = Evaluated(state.step, state.epoch, results)
    for observe in observers:
        observe(evaluated)
    if plan.select is None:
        return False
    value = plan.select(results)
    if state.best is not None and value <= state.best.value:
        return False
    state.best = Best(state.epoch, value)
    return True
