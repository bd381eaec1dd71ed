"""`metricface runs list` and `runs show`, on whole and damaged folders."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from metricface.cli.app import app
from metricface.contracts.results import Reading, Value
from metricface.contracts.results import Result as Found
from metricface.errors import UsageError
from metricface.runs.read import find_runs, read_run

EVALUATED = {"same-source": {"rank1": 0.25, "n": 8, "by_condition": {"clean": {"rank1": 0.5, "n": 4}}}}
REPORTED = {"same-source": {"rank1": 0.75, "n": 8}, "cross-source": {"rank1": 0.5, "n": 8}}
RECIPE = '[run]\nname = "tiny"\nseed = 3\n[train]\nepochs = 5\n'


def make_run(folder: Path, started: str, status: str = "finished", **more: object) -> Path:
    """Write what a run leaves."""
    (folder / "model").mkdir(parents=True)
    for name in ("run.lock", "model/model.json", "model/model.safetensors"):
        (folder / name).touch()
    record = {"name": "tiny", "seed": 3, "status": status, "started": f"2026-01-{started}T00:00:00+00:00", **more}
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "recipe.toml").write_text(RECIPE)
    events = [{"event": "step", "step": 1, "epoch": 0}, {"event": "evaluated", "step": 4, "epoch": 1}]
    lines = [json.dumps({**event, "results": {"identification": EVALUATED}}) + "\n" for event in events]
    (folder / "metrics.jsonl").write_text("".join(lines))
    (folder / "report.json").write_text(json.dumps({"results": {"identification": REPORTED}}))
    (folder / "report.md").write_text("# identification\n")
    return folder


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_runs_at_any_depth_the_newest_last(tmp_path: Path) -> None:
    make_run(tmp_path / "a" / "seed-0", "03")
    make_run(tmp_path / "b", "02", status="failed", error="loss is\nnan")
    make_run(tmp_path / "z" / "y" / "x", "01")
    done = metricface("runs", "list", tmp_path)
    assert done.exit_code == 0, done.output
    header, *rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert header == ["folder", "recipe", "seed", "status", "epoch", "figures"]
    figures = "identification same-source rank1 75.0 %, cross-source rank1 50.0 %"
    assert rows == [
        [str(tmp_path / "z" / "y" / "x"), "tiny", "3", "finished", "2/5", figures],
        [str(tmp_path / "b"), "tiny", "3", "failed", "2/5", "loss is nan"],
        [str(tmp_path / "a" / "seed-0"), "tiny", "3", "finished", "2/5", figures],
    ]


def test_an_unfinished_run_shows_its_last_evaluation(tmp_path: Path) -> None:
    make_run(tmp_path / "run", "01", status="interrupted")
    (run,) = json.loads(metricface("runs", "list", tmp_path, "--json").stdout)
    assert run == {
        "folder": str(tmp_path / "run"),
        "name": "tiny",
        "seed": 3,
        "status": "interrupted",
        "started": "2026-01-01T00:00:00+00:00",
        "epoch": 2,
        "epochs": 5,
        "step": None,
        "steps": None,
        "seconds_left": None,
        "figures": {"identification.same-source.rank1": 0.25},
        "problems": [],
        "error": None,
    }


def test_results_of_today_are_listed_in_their_units_and_under_any_name(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", "01")
    readings = (
        Reading("counts", {"mean": Value(0.31, 8, unit="cosine")}),
        Reading("refusals", {"people": Value(3, 8, unit="count")}),
    )
    results = {
        "mine": Found(readings).to_json(),
        "headline": Found((Reading("", {"a": Value(1, 8), "b": Value(0.5, 8), "c": Value(0.5, 8)}),)).to_json(),
    }
    (folder / "report.json").write_text(json.dumps({"results": results}))
    done = metricface("runs", "list", tmp_path)
    assert done.stdout.splitlines()[1].split("\t")[-1] == (
        "mine counts mean 0.310, refusals people 3; headline a 100.0 %, b 50.0 %"
    )
    (run,) = json.loads(metricface("runs", "list", tmp_path, "--json").stdout)
    assert run["figures"] == {
        "mine.counts.mean": 0.31,
        "mine.refusals.people": 3,
        "headline.a": 1,
        "headline.b": 0.5,
        "headline.c": 0.5,
    }


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_a_run_that_says_running_is_believed_only_while_a_process_holds_its_lock(tmp_path: Path) -> None:
    import fcntl

    folder = make_run(tmp_path / "run", "01", status="running")
    assert read_run(folder).status == "stopped"
    with (folder / "run.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert read_run(folder).status == "running"


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no record": (lambda run: (run / "run.json").unlink(), "run.json is missing"),
    "half a record": (lambda run: (run / "run.json").write_text('{"name": '), "run.json cannot be read (Expecting"),
    "a record of something else": (lambda run: (run / "run.json").write_text("[]"), "run.json is a list, not a table"),
    "no status": (lambda run: (run / "run.json").write_text('{"name": "x"}'), "run.json does not say how it ended"),
    "no recipe": (lambda run: (run / "recipe.toml").unlink(), "recipe.toml is missing"),
    "no TOML": (lambda run: (run / "recipe.toml").write_text("[run"), "recipe.toml cannot be read"),
    "no text": (lambda run: (run / "recipe.toml").write_bytes(b"\xff"), "recipe.toml cannot be read"),
    "no report": (lambda run: (run / "report.json").unlink(), "report.json is missing"),
    "an odd report": (
        lambda run: (run / "report.json").write_text('{"results": {"a": 1}}'),
        "its results are not what MetricFace writes",
    ),
    "half a result": (
        lambda run: (run / "report.json").write_text('{"results": {"a": {"schema": 1, "readings": []}}}'),
        "its results are not what MetricFace writes (results.a: operating_points is missing",
    ),
    "no model": (lambda run: (run / "model" / "model.safetensors").unlink(), "model/model.safetensors is missing"),
    "no journal": (lambda run: (run / "metrics.jsonl").write_text("{]\n"), "metrics.jsonl cannot be read"),
    "an odd journal": (lambda run: (run / "metrics.jsonl").write_text("[]\n"), "metrics.jsonl cannot be read"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_run_is_listed_and_shown_as_such(name: str, tmp_path: Path) -> None:
    change, message = DAMAGE[name]
    folder = make_run(tmp_path / "run", "01")
    change(folder)
    done = metricface("runs", "list", tmp_path)
    (row,) = [line.split("\t") for line in done.stdout.splitlines()[1:]]
    assert (done.exit_code, row[0], row[3]) == (0, str(folder), "damaged")
    assert message in row[5]
    for arguments in ((), ("--json",)):
        done = metricface("runs", "show", folder, *arguments)
        assert done.exit_code == 0, done.output
        assert "damaged" in done.stdout
        assert message.split("(")[0] in done.stdout


def test_a_folder_that_cannot_be_opened_is_not_skipped_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "good", "01")
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def guarded(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    found = {run.folder.name: (run.status, run.trouble) for run in find_runs(tmp_path)}
    assert found == {"closed": ("damaged", "Permission denied"), "good": ("finished", "")}


def test_show_gives_record_recipe_and_report(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", "01")
    text = metricface("runs", "show", folder).stdout
    assert text.startswith(f"# {folder}: finished\n")
    assert "- seed: 3" in text
    assert f"```toml\n{RECIPE}```" in text
    assert text.rstrip().endswith("# identification")
    document = json.loads(metricface("runs", "show", folder, "--json").stdout)
    assert document["record"]["name"] == "tiny"
    assert document["recipe"]["train"] == {"epochs": 5}
    assert document["report"] == {"results": {"identification": REPORTED}}


def test_no_run_and_no_folder(tmp_path: Path) -> None:
    done = metricface("runs", "list", tmp_path)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"no run in {tmp_path}\n")
    assert metricface("runs", "list", tmp_path, "--json").stdout == "[]\n"
    with pytest.raises(UsageError, match=r"no such folder\. Name the one that holds your runs"):
        find_runs(tmp_path / "none")
    done = metricface("runs", "show", tmp_path)
    assert done.exit_code == 2
    assert done.stderr == (
        f"error: {tmp_path}: no run here (no run.json). The runs that there are: metricface runs list\n"
    )
