"""`metricface runs export`: a run that is over goes into a tracker once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

from metricface.components.registry import installed_registries
from metricface.errors import DataError, MetricFaceError, RecipeError, UsageError
from metricface.evaluation.stored_results import read_results
from metricface.runs.export import export, tracker_of

BEFORE = ROOT / "tests" / "before"


class Diary:
    def __init__(self, fails: bool = False) -> None:
        self.run: Any = None
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.ended, self.fails = "", fails

    def start(self, run: Any) -> dict[str, str]:
        self.run = run
        return {"id": "7"}

    def log(self, step: int, figures: Any) -> None:
        if self.fails:
            raise ConnectionError("refused")
        self.logged.append((step, figures))

    def finish(self, status: str) -> None:
        self.ended = status


def a_run(folder: Path, which: str = "finished") -> Path:
    return Path(shutil.copytree(BEFORE / which, folder / which))


def put(folder: Path, diary: Diary, **options: Any) -> dict[str, str]:
    return export(folder, "diary", diary, lambda done, total: None, **options)


def test_every_line_of_the_journal_and_the_report_arrive(tmp_path: Path) -> None:
    folder, diary = a_run(tmp_path), Diary()
    assert put(folder, diary) == {"id": "7"}
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [step for step, _ in diary.logged] == [*(line["step"] for line in lines), lines[-1]["step"]]
    for line, (_, figures) in zip(lines, diary.logged, strict=False):
        if line["event"] == "step":
            losses = {f"losses/{name}": value for name, value in line["losses"].items()}
            rest = {key: line[key] for key in ("epoch", "grad_norm", "learning_rate")}
            assert figures == {**losses, **rest}
        else:
            rank1 = line["results"]["identification"]["cross-source"]["rank1"]
            assert figures["identification/cross-source.rank1"] == rank1
    report = read_results(json.loads((folder / "report.json").read_text())["results"])
    assert diary.logged[-1][1] == {
        f"report/{evaluator}/{name}": figure.value
        for evaluator, result in report.items()
        for name, figure in result.figures().items()
    }
    assert diary.ended == "finished"
    assert diary.run.recipe["head.name"] == "arcface"
    assert json.loads((folder / "run.json").read_text())["trackers"] == {"diary": {"id": "7"}}


def test_a_run_that_was_stopped_is_said_to_be_interrupted(tmp_path: Path) -> None:
    diary = Diary()
    put(a_run(tmp_path, "stopped"), diary)
    assert diary.ended == "interrupted"
    assert not any(name.startswith("report/") for _, figures in diary.logged for name in figures)


def test_a_second_time_is_refused_unless_asked_for(tmp_path: Path) -> None:
    folder = a_run(tmp_path)
    put(folder, Diary())
    second = Diary()
    with pytest.raises(UsageError, match=r"finished: is in diary already \(id 7\)\. --again makes another run of it"):
        put(folder, second)
    assert second.run is None
    put(folder, second, again=True)
    assert second.run.before == {}


def test_a_failure_is_an_error_and_leaves_the_record(tmp_path: Path) -> None:
    folder = a_run(tmp_path)
    with pytest.raises(MetricFaceError) as caught:
        put(folder, Diary(fails=True))
    assert str(caught.value) == (
        "tracker 'diary': log failed (ConnectionError: refused). What was written stays there; the run folder is as "
        "it was."
    )
    assert "trackers" not in json.loads((folder / "run.json").read_text())


@pytest.mark.parametrize("text", ['{"event": "step"}\n', "[1]\n", "no json\n"])
def test_a_damaged_journal_is_refused_before_anything_starts(tmp_path: Path, text: str) -> None:
    folder, diary = a_run(tmp_path), Diary()
    (folder / "metrics.jsonl").write_text(text)
    with pytest.raises((DataError, UsageError), match=r"metrics\.jsonl"):
        put(folder, diary)
    assert diary.run is None


def test_an_unknown_parameter_of_the_tracker_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"--to tensorboard  fodler  unknown key\. Did you mean \"folder\"\?"):
        tracker_of("tensorboard", {"fodler": "x"}, installed_registries())
