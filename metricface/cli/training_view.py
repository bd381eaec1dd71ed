"""What the user sees of training: a live bar on a terminal, a plain line now and then into a pipe."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from metricface.cli.render import SECONDS_BETWEEN_LINES, headline

if TYPE_CHECKING:
    from metricface.cli.render import Screen
    from metricface.training.pace import Course
    from metricface.training.state import Evaluated, StepDone

_RECENT = 20  # steps whose mean loss is shown
_TIMED = 3  # steps before anything is said of the whole


class TrainingView:
    """An observer of training that draws on a screen.

    Args:
        screen: where to.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._course: Course | None = None
        self._sums: dict[str, float] = {}
        self._steps = 0

    def begin(self, course: Course) -> None:
        """Start anew with a training of this length."""
        from metricface.training.pace import Pace

        self._screen.end_training()
        self._course, self._pace = course, Pace(course)
        self._losses: deque[float] = deque(maxlen=_RECENT)
        self._sums, self._steps = {}, 0
        self._started = self._printed = time.monotonic()
        self._estimated = False

    def __call__(self, event: StepDone | Evaluated) -> None:
        """Show a step; of an evaluation also print the mean losses of its epochs and the headline figures."""
        from metricface.training.state import StepDone

        now = time.monotonic()
        if self._course is not None:
            self._pace.add(event.step, now - self._started, evaluated=not isinstance(event, StepDone))
        if isinstance(event, StepDone):
            self._count(event)
        else:
            self._say_figures(event)
        if self._course is not None:
            self._show(self._course, now)
            if not isinstance(event, StepDone) and event.step >= self._course.total:
                self._screen.end_training()

    def _count(self, event: StepDone) -> None:
        """Add a step's losses to the sums of the epoch and to the recent ones."""
        self._steps += 1
        for name, value in event.losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        if self._course is not None:
            weights = self._course.weights
            self._losses.append(sum(weights.get(name, 1.0) * value for name, value in event.losses.items()))

    def _say_figures(self, event: Evaluated) -> None:
        losses = ", ".join(f"{name} {value / self._steps:.4f}" for name, value in self._sums.items())
        self._sums, self._steps = {}, 0
        figures = ", ".join(headline(name, result) for name, result in event.results.items())
        self._screen.say(f"epoch {event.epoch + 1}: {losses}; {figures}")

    def _show(self, course: Course, now: float) -> None:
        """Draw the bar, or print a line where it is time for one."""
        from metricface.machine import memory_taken
        from metricface.training.pace import about, duration

        pace, left = self._pace, self._pace.seconds_left
        if left is None or not self._losses:
            return
        if pace.timed >= _TIMED and not self._estimated:
            self._estimated = True
            apart = "" if pace.has_evaluations else "; evaluations come on top"
            taken = f" and {memory}" if (memory := memory_taken()) else ""
            on = f"{taken} on {course.device}, by its first {_TIMED} steps"
            self._screen.say(f"training will take {about(left)}{on}{apart}")
        loss = sum(self._losses) / len(self._losses)
        text = f"{course.position(pace.step)}, loss {loss:.3f}, {pace.photos_per_second or 0:.0f} photos/s"
        if self._screen.is_live:
            self._screen.draw_training(text, pace.step, course.total, duration(left))
        elif now - self._printed >= SECONDS_BETWEEN_LINES and pace.step < course.total:
            self._printed = now
            self._screen.say(f"{text}, {duration(left)} left")
