"""A signal ends training even where something swallows the exception that it raises."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from metricface.errors import Interrupted
from metricface.training.interruption import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_somebody_swallowed_is_raised_at_the_end_of_the_next_step(number: signal.Signals) -> None:
    done = []
    with Interruption() as interruption:
        with contextlib.suppress(Exception):
            os.kill(os.getpid(), number)
        with pytest.raises(Interrupted) as caught, interruption.hold():
            done.append("step")
        with interruption.hold():
            done.append("checkpoint")
    assert (caught.value.signal_number, done) == (number, ["step", "checkpoint"])
