"""What a run folder and a set of runs hold, whole or damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from metricface.cli.app import app
from metricface.errors import DataError, ModelError, UsageError
from metricface.model.folder import find_model
from metricface.runs.folder import RunFolder
from metricface.runs.paths import MARKS
from metricface.runs.run_set import RunSet


def test_every_path_lies_in_the_folder_and_the_marks_are_among_them(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    properties = [name for name in dir(type(folder).__base__) if not name.startswith("_") and name != "path"]
    paths = {name: getattr(folder, name) for name in properties if name != "resume_line"}
    found = {name: path.relative_to(tmp_path).as_posix() for name, path in paths.items()}
    assert found == {
        "record_path": "run.json",
        "lock_path": "run.lock",
        "recipe_path": "recipe.toml",
        "metrics_path": "metrics.jsonl",
        "times_path": "times.jsonl",
        "checkpoints": "checkpoints",
        "last_checkpoint": "checkpoints/last.pt",
        "best_checkpoint": "checkpoints/best.pt",
        "model": "model",
        "outcomes": "outcomes",
        "report_path": "report.json",
        "report_page": "report.md",
        "losses_picture": "losses.png",
        "metrics_picture": "metrics.png",
    }
    assert set(found.values()) > MARKS


@pytest.mark.parametrize("mark", sorted(MARKS))
def test_one_mark_makes_a_run_and_other_files_make_none(mark: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").touch()
    assert not RunFolder(tmp_path).is_run()
    (tmp_path / mark).touch()
    assert RunFolder(tmp_path).is_run()


def test_what_is_missing_cannot_be_read_or_is_no_table_is_a_problem_of_one_wording(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    readers = {"run.json": folder.record, "recipe.toml": folder.recipe, "report.json": folder.report}
    for name, read in readers.items():
        assert (read(), read().problem) == ({}, f"{name} is missing")
        (tmp_path / name).write_bytes(b"\xff")
        assert read() == {}
        assert read().problem.startswith(f"{name} cannot be read ('utf-8' codec")
    (tmp_path / "report.json").write_text("[1]")
    assert (folder.report(), folder.report().problem) == ({}, "report.json is a list, not a table")
    (tmp_path / "report.json").write_text('{"results": {}}')
    assert (folder.report(), folder.report().problem) == ({"results": {}}, "")
    (tmp_path / "run.json").write_text('{"name": "x"}')
    assert (folder.record(), folder.record().problem) == ({"name": "x"}, "run.json does not say how it ended")


def test_the_last_evaluation_of_the_journal(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert (folder.last_evaluation(), folder.last_evaluation().problem) == ({}, "")
    events = [{"event": "step", "step": 1}, *({"event": "evaluated", "epoch": at, "results": {}} for at in (0, 1))]
    folder.metrics_path.write_text("".join(json.dumps(event) + "\n" for event in events[:1]))
    assert (folder.last_evaluation(), folder.last_evaluation().problem) == ({}, "")
    folder.metrics_path.write_text("".join(json.dumps(event) + "\n" for event in events) + '{"event": "eva')
    assert folder.last_evaluation() == {"epoch": 1, "results": {}}
    folder.metrics_path.write_text("{}\n")
    assert folder.last_evaluation().problem == "metrics.jsonl cannot be read ('event')"


def test_a_run_without_a_model_says_how_to_finish_it_wherever_a_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").touch()
    message = f"{tmp_path}: this run has no model yet. Finish it: {RunFolder(tmp_path).resume_line}"
    with pytest.raises(ModelError) as caught:
        RunFolder(tmp_path).check_has_model()
    assert str(caught.value) == message
    for arguments in (("eval", tmp_path), ("classify", tmp_path, tmp_path, "--json")):
        done = CliRunner().invoke(app, list(map(str, arguments)))
        assert (done.exit_code, done.stderr) == (2, f"error: {message}\n")
    with pytest.raises(ModelError, match=r"no model here \(no model\.json\)\. Name a run folder or its model folder"):
        find_model(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").touch()
    RunFolder(tmp_path).check_has_model()
    assert find_model(tmp_path) == RunFolder(tmp_path).model


def test_a_set_of_runs_has_those_of_its_summary_else_of_its_seeds_else_itself(tmp_path: Path) -> None:
    runs = RunSet(tmp_path / "set")
    assert (runs.seeds(), runs.runs()) == ({}, (runs.path,))
    for name in ("seed-10", "seed-2", "seed-02", "seed-x", "seeds-3", "seed-"):
        (runs.path / name).mkdir(parents=True)
    (runs.path / "seed-7").touch()
    assert list(runs.seeds().items()) == [(2, runs.path / "seed-2"), (10, runs.path / "seed-10")]
    assert runs.runs() == (runs.path / "seed-2", runs.path / "seed-10")
    assert (runs.folder(2), RunSet(tmp_path, apart=True).folder(2)) == (runs.path / "seed-2", None)
    runs.summary_path.write_text(json.dumps({"runs": [{"folder": "once/elsewhere/seed-10"}]}))
    assert runs.runs() == (runs.path / "seed-10",)
    runs.summary_path.write_text('{"runs": 1}')
    with pytest.raises(DataError, match=r"seeds\.json: not a list of runs \(TypeError: .*\)\. Name one run\.$"):
        runs.runs()


def test_a_set_cannot_be_where_a_single_run_or_a_file_is(tmp_path: Path) -> None:
    RunSet(tmp_path / "none").check()
    RunSet(tmp_path).check()
    (tmp_path / "run.json").touch()
    with pytest.raises(UsageError, match=r": the folder of a single run\. Name another --out, which gets a folder for"):
        RunSet(tmp_path).check()
    with pytest.raises(
        UsageError, match=r"run\.json: a file\. Name another --out, which gets a folder for each seed\.$"
    ):
        RunSet(tmp_path / "run.json").check()
