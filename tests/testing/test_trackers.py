"""Every check of a tracker finds the flaw that it is for, and nothing in a good tracker."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.flaws import Flaws, assert_found, assert_good, own_checks

from metricface.contracts import TrackedRun


class Diary:
    """Remembers nothing at all.

    Args:
        every: steps between two that count.
    """

    def __init__(self, *, every: int = 1) -> None: ...

    def start(self, run: TrackedRun) -> Mapping[str, str]:
        return {"folder": str(run.folder)}

    def log(self, step: int, figures: Mapping[str, float]) -> None: ...

    def finish(self, status: str) -> None: ...


def flawed(**members: Any) -> type:
    return type("Flawed", (Diary,), {"__doc__": Diary.__doc__, **members})


def only_success(self: Any, status: str) -> None:
    assert status != "failed", "no such ending"


def only_new(self: Any, run: TrackedRun) -> Mapping[str, str]:
    assert not run.before, "cannot go on"
    return {"id": "1"}


def forget_path(self: Any, status: str) -> None:
    os.environ["PATH"] += ":/elsewhere"


FLAWS: Flaws = {
    "run": (flawed(finish=only_success), "no such ending"),
    "place": (flawed(start=lambda self, run: {"id": 7}), "start returns {'id': 7}"),
    "going on": (flawed(start=only_new), "cannot go on"),
    "random state": (flawed(log=lambda self, step, figures: random.random()), "generator of random"),
    "surroundings": (flawed(finish=forget_path), "the variable PATH is"),
    "inputs": (flawed(log=lambda self, step, figures: figures.clear()), "the figures are edited"),
}


def test_a_good_tracker_passes() -> None:
    assert_good("tracker", Diary)


def test_there_is_a_flaw_for_every_check() -> None:
    assert set(FLAWS) == own_checks("tracker")


@pytest.mark.parametrize("check", FLAWS)
def test_each_check_finds_its_flaw(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    assert_found("tracker", check, FLAWS)


def test_another_working_directory_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path.cwd())
    elsewhere = flawed(finish=lambda self, status: os.chdir("/"))
    flaw: Flaws = {"surroundings": (elsewhere, "the working directory is / afterwards")}
    assert_found("tracker", "surroundings", flaw)
