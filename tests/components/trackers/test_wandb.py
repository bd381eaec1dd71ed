"""What wandb and trackio are called with, by stand-ins, and that the real ones take it where they are installed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from metricface.components.trackers.wandb import WandB
from metricface.contracts import TrackedRun
from metricface.testing import check_tracker


class Run:
    id, dir = "abc", "somewhere/files"

    def __init__(self) -> None:
        self.summary: dict[str, Any] = {}
        self.logged: list[Any] = []
        self.code: Any = "not finished"

    def log(self, data: dict[str, Any], step: int | None = None) -> None:
        self.logged.append((step, data))

    def finish(self, exit_code: int | None = None) -> None:
        self.code = exit_code


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand-ins for both packages; what their `init` was given, and the run that it gave."""
    seen: dict[str, Any] = {"run": Run()}

    def wandb(project: str, name: str, config: Any, mode: str, settings: Any, **more: Any) -> Run:
        seen.update(project=project, name=name, config=config, mode=mode, settings=settings, more=more)
        return seen["run"]  # type: ignore[no-any-return]

    def trackio(project: str, name: str, config: Any, resume: str, **more: Any) -> Run:
        seen.update(project=project, name=name, config=config, resume=resume, more=more)
        return seen["run"]  # type: ignore[no-any-return]

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=wandb, Settings=dict))
    monkeypatch.setitem(sys.modules, "trackio", SimpleNamespace(init=trackio))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    return seen


def test_wandb_is_offline_and_tells_nothing_of_the_machine(called: dict[str, Any], tmp_path: Path) -> None:
    tracker = WandB()
    place = tracker.start(TrackedRun("try", tmp_path, {"head.margin": 0.4}))
    tracker.log(1, {"losses/triplet": 0.5})
    tracker.finish("failed")
    assert place == {"project": "try", "run": tmp_path.name, "id": "abc", "folder": "somewhere/files"}
    assert (called["mode"], called["config"]) == ("offline", {"head.margin": 0.4})
    assert called["more"] == {"dir": str(tmp_path)}
    assert called["settings"]["console"] == "off"
    assert called["settings"]["disable_git"] is True
    run = called["run"]
    assert (run.logged, run.code, run.summary) == ([(1, {"losses/triplet": 0.5})], 1, {"status": "failed"})


def test_a_run_goes_on_under_its_id(called: dict[str, Any], tmp_path: Path) -> None:
    place = WandB(project="faces").start(TrackedRun("try", tmp_path, {}))
    WandB(project="faces").start(TrackedRun("try", tmp_path, {}, 4, place))
    assert called["project"] == "faces"
    assert called["more"] == {"dir": str(tmp_path), "id": "abc", "resume": "allow"}


def test_trackio_has_the_same_calls(called: dict[str, Any], tmp_path: Path) -> None:
    tracker = WandB(module="trackio")
    place = tracker.start(TrackedRun("try", tmp_path, {}))
    tracker.log(1, {"losses/triplet": 0.5})
    tracker.finish("finished")
    assert (place, called["resume"]) == ({"project": "try", "run": tmp_path.name}, "never")
    assert called["more"] == {"embed": False, "auto_log_gpu": False, "auto_log_cpu": False}
    assert (called["run"].logged, called["run"].code) == ([(1, {"losses/triplet": 0.5})], None)


@pytest.mark.parametrize("module", ["wandb", "trackio"])
def test_the_real_package_takes_all_of_it(module: str) -> None:
    pytest.importorskip(module)
    check_tracker(WandB, module=module)
