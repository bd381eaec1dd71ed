"""How fast training is, and how long it will still take."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

_RECENT = 50  # steps: enough to be steady, few enough to follow a machine that gets busy


def evaluates(epoch: int, epochs: int, every: int) -> bool:
    """Whether an epoch (0-based) is evaluated: each that is a multiple of `every`, and the last one."""
    return (epoch + 1) % every == 0 or epoch + 1 == epochs


@dataclass(frozen=True, slots=True)
class Course:
    """What a whole training consists of.

    Args:
        epochs: planned.
        steps: of one epoch.
        batch_size: photos of one step.
        evaluate_every: epochs between evaluations.
        device: where it runs, "" where that does not matter.
        weights: loss -> its weight in the sum that is minimised; 1 for those that are not named.
    """

    epochs: int
    steps: int
    batch_size: int
    evaluate_every: int = 1
    device: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Steps of all epochs."""
        return self.epochs * self.steps

    def evaluations_from(self, step: int) -> int:
        """Return how many evaluations come at this step (1-based, over all epochs) or later."""
        planned = (epoch for epoch in range(self.epochs) if evaluates(epoch, self.epochs, self.evaluate_every))
        return sum((epoch + 1) * self.steps >= step for epoch in planned)

    def position(self, step: int) -> str:
        """Return where a step (1-based, over all epochs) stands: "epoch 3 of 10, step 12 of 37"."""
        epoch, within = divmod(max(step - 1, 0), self.steps)
        return f"epoch {epoch + 1} of {self.epochs}, step {within + 1} of {self.steps}"


@runtime_checkable
class WantsCourse(Protocol):
    """An observer that is told what the training consists of before its first step."""

    def begin(self, course: Course) -> None:
        """Take the course; a further call begins another training."""


def announce(course: Course, observers: Iterable[object]) -> None:
    """Tell those observers that want it what the training consists of."""
    for observer in observers:
        if isinstance(observer, WantsCourse):
            observer.begin(course)


class Pace:
    """The speed of a training, from the seconds at which its steps and evaluations were done.

    The first step of a process also starts workers and warms caches up, so it counts only until there is a second one.
    Patience is not foreseen: the time left is that of all planned epochs.

    Args:
        course: what is to be done.
    """

    def __init__(self, course: Course) -> None:
        self.course = course
        self.step = 0
        self.timed = 0
        self._evaluated = False
        self._last: float | None = None
        self._first: float | None = None
        self._steps: deque[float] = deque(maxlen=_RECENT)
        self._evaluations: list[float] = []

    def add(self, step: int, seconds: float, *, evaluated: bool = False) -> None:
        """Take in a step, or an evaluation after it.

        Args:
            step: steps done over all epochs.
            seconds: since the process began to train; fewer than before where another process went on.
            evaluated: it is an evaluation that is done.
        """
        fresh = self._last is None or seconds < self._last
        took = seconds if fresh or self._last is None else seconds - self._last
        self.step, self._last, self._evaluated = step, seconds, evaluated
        if evaluated:
            self._evaluations.append(took)
        elif fresh:
            self._first = took
        else:
            self.timed += 1
            self._steps.append(took)

    @property
    def has_evaluations(self) -> bool:
        """Whether the time left counts evaluations in."""
        return bool(self._evaluations)

    @property
    def seconds_per_step(self) -> float | None:
        """The mean of the last steps; None before the first one."""
        return sum(self._steps) / len(self._steps) if self._steps else self._first

    @property
    def photos_per_second(self) -> float | None:
        """Photos trained on in a second."""
        seconds = self.seconds_per_step
        return self.course.batch_size / seconds if seconds else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end; evaluations count with what they took so far, nothing before the first one."""
        seconds = self.seconds_per_step
        if seconds is None:
            return None
        each = sum(self._evaluations) / len(self._evaluations) if self._evaluations else 0.0
        to_come = self.course.evaluations_from(self.step) - self._evaluated
        return seconds * max(self.course.total - self.step, 0) + each * max(to_come, 0)


def duration(seconds: float) -> str:
    """Return "45 s", "1 min 40 s" or "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def about(seconds: float) -> str:
    """Return a duration as an estimate has it: "about 4 min", with no more digits than it deserves."""
    if seconds < 57.5:
        return f"about {max(5, 5 * round(seconds / 5))} s"
    if seconds < 3570:
        return f"about {max(1, round(seconds / 60))} min"
    return f"about {seconds / 3600:.1f} h"
