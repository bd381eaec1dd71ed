"""Tests of the processes that measure indexes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing import resource_tracker, util
from typing import Any

import pytest

from metricface.deploy import index_bench


def nothing() -> None:
    """What a process does."""


def test_ctrl_c_while_a_process_starts_comes_once_it_has_and_ends_it_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    usual, handler = util.spawnv_passfds, signal.getsignal(signal.SIGINT)

    def interrupted(*arguments: Any) -> int:
        process: int = usual(*arguments)
        time.sleep(0.5)  # until it waits for what to do
        os.kill(process, signal.SIGINT)  # as a terminal does
        time.sleep(0.5)  # until it would have said something
        os.kill(os.getpid(), signal.SIGINT)
        return process

    resource_tracker.ensure_running()
    monkeypatch.setattr(util, "spawnv_passfds", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index_bench._in_a_process(nothing)
    assert multiprocessing.active_children() == []
    assert "Traceback" not in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_how_a_process_ended_is_told() -> None:
    assert index_bench._in_a_process(nothing) == ""
    assert index_bench._in_a_process(os._exit, 3) == "exit 3"
    assert index_bench._in_a_process(os.abort) == f"signal {int(signal.SIGABRT)}"
