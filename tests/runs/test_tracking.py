"""Trackers see what metrics.jsonl gets; one that fails is told once, and the run goes on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from metricface.contracts import Reading, Result, TrackedRun, Value
from metricface.errors import Interrupted
from metricface.recipe.schema import tables_digest
from metricface.runs.folder import RunFolder
from metricface.runs.tracking import figures_of, tracked
from metricface.training.state import Evaluated, StepDone

STEP = StepDone(3, 1, {"contrastive": 0.5, "cross-entropy": 2.0}, 1.5, 0.01)
EVALUATED = Evaluated(3, 1, {"identification": Result((Reading("cross-source", {"rank1": Value(0.75, 4)}),))})


class Notes:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: None


class Diary:
    """Writes down its calls; the one that is named fails."""

    def __init__(self, failing: str = "", error: BaseException | None = None) -> None:
        self.calls: list[Any] = []
        self.failing, self.error = failing, error or OSError("disk\nfull")

    def _did(self, what: str, *given: Any) -> None:
        if what == self.failing:
            raise self.error
        self.calls.append((what, *given))

    def start(self, run: TrackedRun) -> Mapping[str, str]:
        sys.stdout.write("hello from a tracker")
        self._did("start", run)
        return {"id": "7"}

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self._did("log", step, dict(figures))

    def finish(self, status: str) -> None:
        self._did("finish", status)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "run.json").write_text('{"name": "tiny", "status": "running"}')
    (tmp_path / "recipe.toml").write_text(
        '[head]\nmargin = 0.4\n[[loss]]\nname = "triplet"\nweight = 0.5\n[[tracker]]\nname = "diary"\nkey = "secret"\n'
    )
    return RunFolder(tmp_path)


def test_figures_have_the_names_and_values_of_the_journal() -> None:
    assert figures_of(STEP) == {
        "epoch": 1.0,
        "losses/contrastive": 0.5,
        "losses/cross-entropy": 2.0,
        "grad_norm": 1.5,
        "learning_rate": 0.01,
    }
    assert figures_of(EVALUATED) == {"identification/cross-source.rank1": 0.75}


def test_a_tracker_sees_the_run_from_beginning_to_end(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    diary, notes = Diary(), Notes()
    with tracked({"diary": diary}, folder, 2, notes) as tracking:
        tracking(STEP)
        tracking(EVALUATED)
    recipe = {
        "head.margin": 0.4,
        "loss": ["triplet"],
        "loss.triplet.weight": 0.5,
    }  # trackers may hold secrets
    assert diary.calls == [
        ("start", TrackedRun("tiny", folder.path, recipe, 2)),
        ("log", 3, figures_of(STEP)),
        ("log", 3, figures_of(EVALUATED)),
        ("finish", "finished"),
    ]
    assert notes.said == ["tracker 'diary': id 7"]
    assert json.loads(folder.record_path.read_text())["trackers"] == {"diary": {"id": "7"}}
    assert capsys.readouterr().out == ""  # the answer of run --json is one document


def test_a_run_that_goes_on_gives_back_what_start_returned(folder: RunFolder) -> None:
    for before in ({}, {"id": "7"}):
        diary = Diary()
        with tracked({"diary": diary}, folder, 0, Notes()):
            pass
        assert diary.calls[0][1].before == before


@pytest.mark.parametrize("failing", ["start", "log", "finish"])
@pytest.mark.parametrize("error", [OSError("disk\nfull"), SystemExit("disk full")])
def test_a_failure_is_told_once_and_the_others_go_on(folder: RunFolder, failing: str, error: BaseException) -> None:
    bad, good, notes = Diary(failing, error), Diary(), Notes()
    with tracked({"bad": bad, "good": good}, folder, 0, notes) as tracking:
        tracking(STEP)
        tracking(replace(STEP, step=4))
    told = [said for said in notes.said if "failed" in said]
    assert told == [
        f"tracker 'bad': {failing} failed ({type(error).__name__}: disk full). It is left out; the run goes on, and "
        "metrics.jsonl has everything."
    ]
    assert [call[0] for call in good.calls] == ["start", "log", "log", "finish"]


def test_what_start_returns_may_be_rubbish(folder: RunFolder) -> None:
    diary, notes = Diary(), Notes()
    diary.start = lambda run: None  # type: ignore[method-assign]
    with tracked({"diary": diary}, folder, 0, notes) as tracking:
        tracking(STEP)
    assert [said.partition(" (")[0] for said in notes.said] == ["tracker 'diary': start failed"]
    assert diary.calls == []


@pytest.mark.parametrize(
    ("error", "status"), [(Interrupted(2), "interrupted"), (KeyboardInterrupt(), "interrupted"), (OSError(), "failed")]
)
def test_a_tracker_is_told_how_a_run_ended(folder: RunFolder, error: BaseException, status: str) -> None:
    diary = Diary()
    with pytest.raises(type(error)), tracked({"diary": diary}, folder, 0, Notes()):
        raise error
    assert diary.calls[-1] == ("finish", status)


def test_trackers_are_no_part_of_what_a_run_is() -> None:
    assert tables_digest({"run": {"seed": 1}, "tracker": [{"name": "mlflow"}]}) == tables_digest({"run": {"seed": 1}})
    assert tables_digest({"run": {"seed": 1}}) != tables_digest({"run": {"seed": 2}})
