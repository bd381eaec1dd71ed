"""Ctrl-C at a step of a run: a real signal, without the seconds that a process of its own takes to start."""

from __future__ import annotations

import signal

import pytest

from metricface.cli.training_view import TrainingView
from metricface.training.state import StepDone


def press_ctrl_c(monkeypatch: pytest.MonkeyPatch, *, at_step: int) -> None:
    """Let the next run of the command line hear SIGINT as soon as a step is done, and the runs after it none."""
    observe = TrainingView.__call__

    def observed(view: TrainingView, event: object) -> None:
        if isinstance(event, StepDone) and event.step == at_step:
            monkeypatch.setattr(TrainingView, "__call__", observe)
            signal.raise_signal(signal.SIGINT)
        observe(view, event)

    monkeypatch.setattr(TrainingView, "__call__", observed)
