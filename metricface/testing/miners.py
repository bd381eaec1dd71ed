"""The checks of miners."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from metricface.contracts import Miner
from metricface.testing.engine import Suite, Trial, Violation, check
from metricface.testing.randomness import seeded
from metricface.testing.tensors import DIM, edits_nothing, embeddings_of

_ORDINARY = ((0, 0, 1, 1), (0, 0, 1, 1, 2, 2, 3, 3), (0, 1, 2, 0, 1, 2, 0, 1, 2, 3))
_SMALL = ((0,), (0, 0), (0, 1), (1, 1, 1, 1), (0, 1, 2, 3))
_TRIPLETS, _PAIRS = 3, 4


@dataclass(frozen=True, slots=True)
class MinerOnTrial:
    """A miner, and batches of labels that it is tried on."""

    trial: Trial

    def make(self) -> Miner:
        """Make the miner."""
        with seeded():
            made: Miner = self.trial.make({})
        return made

    def mined(self, labels: tuple[int, ...]) -> tuple[Tensor, ...]:
        """Return what it chooses of a batch; its random numbers are those of a seed."""
        with seeded():
            return self.make()(embeddings_of(len(labels)), torch.tensor(labels))


def prepare(trial: Trial) -> MinerOnTrial:
    """Make the miner once, for what it refuses."""
    on = MinerOnTrial(trial)
    missing = [method for method in trial.kind.methods if not callable(getattr(on.make(), method, None))]
    if missing:
        raise Violation(f"what it makes has no {' and no '.join(missing)}")
    return on


def _case(labels: tuple[int, ...]) -> str:
    return f"labels {list(labels)}, embeddings ({len(labels)}, {DIM})"


@check("indices", why="Losses take photos of the batch by them.")
def indices(on: MinerOnTrial) -> None:
    """It gives int64 tensors (P,): anchor, positive, negative, or anchor, positive, anchor, negative."""
    for labels in (*_ORDINARY, *_SMALL):
        mined, case = on.mined(labels), _case(labels)
        if not isinstance(mined, tuple) or len(mined) not in (_TRIPLETS, _PAIRS):
            shown = f"{len(mined)} parts" if isinstance(mined, tuple) else f"a {type(mined).__name__}"
            raise Violation(f"{case}: gives {shown}, no tuple of three or four")
        for part in mined:
            if not isinstance(part, Tensor) or part.dtype != torch.int64 or part.ndim != 1:
                shown = f"{part.dtype} {tuple(part.shape)}" if isinstance(part, Tensor) else type(part).__name__
                raise Violation(f"{case}: gives {shown}, not int64 (P,)")
            if len(part) and not 0 <= int(part.min()) <= int(part.max()) < len(labels):
                raise Violation(f"{case}: gives the indices {int(part.min())} to {int(part.max())}")
        lengths = [len(part) for part in mined]
        together = (lengths,) if len(mined) == _TRIPLETS else (lengths[:2], lengths[2:])
        if any(len(set(group)) > 1 for group in together):
            raise Violation(f"{case}: gives {lengths} indices")


@check("classes", why="A loss pulls positives together, whoever is on them.")
def classes(on: MinerOnTrial) -> None:
    """A positive is another photo of its anchor's class, and a negative one of another class."""
    for labels in _ORDINARY:
        mined, known = on.mined(labels), torch.tensor(labels)
        anchors, positives, *_ = mined
        others, negatives = mined[0 if len(mined) == _TRIPLETS else -2], mined[-1]
        wrong = (known[anchors] != known[positives]) | (anchors == positives)
        if wrong.any():
            pair = int(anchors[wrong][0]), int(positives[wrong][0])
            raise Violation(f"{_case(labels)}: gives the photos {pair[0]} and {pair[1]} as anchor and positive")
        wrong = known[others] == known[negatives]
        if wrong.any():
            pair = int(others[wrong][0]), int(negatives[wrong][0])
            raise Violation(f"{_case(labels)}: gives the photos {pair[0]} and {pair[1]} as anchor and negative")


@check("inputs", why="Losses get the same tensors.")
def inputs(on: MinerOnTrial) -> None:
    """Neither embeddings nor labels are edited in place, in sight of autograd or past it."""
    for labels in (*_ORDINARY, *_SMALL):
        embeddings, known = embeddings_of(len(labels)).requires_grad_() * 1, torch.tensor(labels)
        given = {"embeddings": embeddings, "labels": known}
        edits_nothing(given, partial(on.make(), embeddings, known), _case(labels))


SUITE = Suite(prepare, (indices, classes, inputs))
