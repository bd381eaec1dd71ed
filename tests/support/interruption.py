"""Ctrl-C at a step of a run: a real signal, without the seconds that a process of its own takes to start."""

from __future__ import annotations

import signal

import pytest

from metricface.cli.render import Screen
from metricface.training.state import StepDone


def press_ctrl_c(monkeypatch: pytest.MonkeyPatch, *, at_step: int) -> None:
    """Let the next run of the command line hear SIGINT as soon as a step is done, and the runs after it none."""
    observe = Screen.observe

    def observed(screen: Screen, event: object) -> None:
        if isinstance(event, StepDone) and event.step == at_step:
            monkeypatch.setattr(Screen, "observe", observe)
            signal.raise_signal(signal.SIGINT)
        observe(screen, event)

    monkeypatch.setattr(Screen, "observe", observed)
