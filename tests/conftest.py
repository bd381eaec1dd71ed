"""What holds for every test."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest


def pytest_configure() -> None:
    """A shell starts its background jobs with Ctrl-C ignored, and processes inherit that; tests send it to some."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def nothing_measured_before(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test finds, or leaves, measurements in the user's cache; return the empty folder in its place."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr("metricface.training.measured_before.user_cache_path", lambda *_, **__: folder)
    return folder
