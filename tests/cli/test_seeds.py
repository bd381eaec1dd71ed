"""`metricface run --seeds` as a user meets it."""

from __future__ import annotations

import json
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest
from support.interruption import press_ctrl_c
from support.task_b_tree import make_tree, write_recipe
from typer.testing import CliRunner, Result

from metricface.cli.app import app
from metricface.contracts.results import JoinedReading, Spread
from metricface.contracts.results import Result as Found


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_recipe(tmp_path, make_tree(tmp_path / "tree"))


@pytest.fixture
def short(recipe: Path) -> tuple[object, ...]:
    return (recipe, "--set", "train.epochs=1")


def of_reading(document: dict[str, Any], name: str) -> JoinedReading:
    result = Found.from_json(document["results"]["identification"])
    return {reading.name: reading for reading in result.joined()}[name]


def lines(done: Result, beginning: str) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith(beginning)]


def test_one_run_for_each_seed_and_what_they_have_in_common(short: tuple[object, ...]) -> None:
    done = metricface("run", *short, "--seeds", "4, 0", "--out", "s", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["folder"], document["seeds"]) == ("s", [4, 0])
    assert [run["folder"] for run in document["runs"]] == ["s/seed-4", "s/seed-0"]
    reports = [json.loads(Path(f"s/seed-{seed}/report.json").read_text()) for seed in (4, 0)]
    assert [report["run"]["seed"] for report in reports] == [4, 0]
    for reading in ("same-source", "cross-source"):
        found = of_reading(document, reading)
        runs = [of_reading(report, reading) for report in reports]
        for figure in ("rank1", "precision", "recall", "f1"):
            values = [run.figures[figure].value for run in runs]
            assert found.figures[figure].spread == Spread(statistics.stdev(values), tuple(values))
        noisy = [run.tables["condition"]["noisy"]["rank1"].value for run in runs]
        assert found.tables["condition"]["noisy"]["rank1"].value == statistics.fmean(noisy)
    saved = json.loads(Path("s/seeds.json").read_text())
    assert {"folder": "s", **saved} == document
    assert Path("s/seeds.md").read_text().startswith("Mean ± standard deviation (n - 1) over 2 runs.\n")

    assert metricface("run", *short, "--set", "run.seed=0", "--out", "alone").exit_code == 0
    assert Path("alone/metrics.jsonl").read_text() == Path("s/seed-0/metrics.jsonl").read_text()


def test_finished_runs_are_skipped_and_said_so(short: tuple[object, ...]) -> None:
    assert metricface("run", *short, "--seeds", "0,1", "--out", "s").exit_code == 0
    before = Path("s/seed-1/run.json").read_text()
    done = metricface("run", *short, "--seeds", "1,2", "--out", "s")
    assert done.exit_code == 0, done.output
    assert lines(done, "seed ") == [
        "seed 0: s/seed-0 counts too",
        "seed 1 (1 of 2): finished already in s/seed-1",
        "seed 2 (2 of 2):",
    ]
    assert Path("s/seed-1/run.json").read_text() == before
    assert json.loads(Path("s/seeds.json").read_text())["seeds"] == [0, 1, 2]
    record = Path("s/seed-2/run.json")
    record.write_text(record.read_text().replace('"finished"', '"interrupted"', 1))
    done = metricface("run", *short, "--seeds", "0", "--out", "s")
    assert lines(done, "seed 2") == ["seed 2: s/seed-2 is not finished, so it does not count"]
    assert json.loads(Path("s/seeds.json").read_text())["seeds"] == [1, 0]
    done = metricface("run", *short, "--set", "head.margin=0.1", "--seeds", "5", "--out", "s")
    assert (done.exit_code, done.stderr) == (
        2,
        "error: s/seed-0: holds the run of another recipe or other --set values, which cannot be summed up with these. "
        "Name another --out.\n",
    )


def test_without_out_they_are_found_again_under_runs(short: tuple[object, ...]) -> None:
    assert metricface("run", *short, "--set", "run.seed=3").exit_code == 0
    (folder,) = Path("runs/tiny").iterdir()
    done = metricface("run", *short, "--seeds", "3,4")
    assert done.exit_code == 0, done.output
    assert lines(done, "seed 3") == [f"seed 3 (1 of 2): finished already in {folder}"]
    (summary,) = Path("runs/tiny").glob("seeds-*")
    assert {path.name for path in summary.iterdir()} == {"seeds.json", "seeds.md"}
    listed = json.loads(metricface("runs", "list", "--json").stdout)
    assert [(run["seed"], run["status"]) for run in listed] == [(3, "finished"), (4, "finished")]
    before = (summary / "seeds.json").read_text()
    for seeds, folders in (("4,3", 1), ("4", 2)):  # the same set, another one
        assert metricface("run", *short, "--seeds", seeds).exit_code == 0
        assert len(list(Path("runs/tiny").glob("seeds-*"))) == folders
    assert json.loads((summary / "seeds.json").read_text())["results"]["identification"].keys() == (
        json.loads(before)["results"]["identification"].keys()
    )
    done = metricface("compare", summary, folder, "--json", "--samples", "9")
    assert len(json.loads(done.stdout)["runs"]["a"]) == 2


def test_nothing_begins_when_one_of_them_cannot(short: tuple[object, ...]) -> None:
    assert metricface("run", *short, "--seeds", "1", "--out", "s").exit_code == 0
    record = Path("s/seed-1/run.json")
    record.write_text(record.read_text().replace('"finished"', '"interrupted"', 1))
    done = metricface("run", *short, "--seeds", "0,1", "--out", "s")
    assert done.exit_code == 2
    assert done.stderr == (
        "error: s/seed-1: there is something there already. Name another --out, or go on with --resume.\n"
    )
    assert not Path("s/seed-0").exists()
    assert metricface("run", *short, "--seeds", "0,1", "--out", "s", "--resume").exit_code == 0
    done = metricface("run", *short, "--set", "head.margin=0.1", "--seeds", "0", "--out", "s", "--resume")
    assert (done.exit_code, "s/seed-0: holds the run of another recipe" in done.stderr) == (2, True)


def test_a_finished_run_that_lost_its_report_is_not_taken_for_finished(short: tuple[object, ...]) -> None:
    assert metricface("run", *short, "--seeds", "0", "--out", "s").exit_code == 0
    Path("s/seed-0/report.json").unlink()
    assert metricface("run", *short, "--seeds", "0", "--out", "s").exit_code == 2
    done = metricface("run", *short, "--seeds", "0", "--out", "s", "--resume")
    assert done.exit_code == 0, done.output
    assert Path("s/seed-0/report.json").exists()


def test_runs_on_different_photos_are_not_passed_off_as_equal(short: tuple[object, ...]) -> None:
    assert metricface("run", *short, "--seeds", "0", "--out", "s").exit_code == 0
    shutil.rmtree("tree/val/person_7")
    done = metricface("run", *short, "--seeds", "0,1", "--out", "s")
    assert done.exit_code == 0, done.output
    assert "- the runs differ in their data: see the report of each" in Path("s/seeds.md").read_text()


BAD = {
    "twice the same": (["0,0"], "--seeds: must be different whole numbers with commas between (got '0,0')."),
    "the same in disguise": (["1,01"], "--seeds: must be different whole numbers with commas between (got '1,01')."),
    "letters": (["a"], "--seeds: must be different whole numbers with commas between (got 'a')."),
    "nothing": ([""], "--seeds: must be different whole numbers with commas between (got '')."),
    "a comma too many": (["1,"], "--seeds: must be different whole numbers with commas between (got '1,')."),
    "below zero": (["0,-1"], "--seeds: must be different whole numbers with commas between (got '0,-1')."),
    "too large": (["4294967296"], "--set run.seed=4294967296  run.seed  must be less than 4294967296"),
    "twice said": (["1", "--set", "run.seed=2"], "--seeds: sets run.seed, and so does --set. Leave one of them out."),
    "a run's folder": (["1", "--out", "single"], "single: the folder of a single run. Name another --out"),
    "a file": (["1", "--out", "tiny.toml"], "tiny.toml: a file. Name another --out"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_list_is_one_line_and_exit_2(name: str, recipe: Path) -> None:
    Path("single").mkdir()
    Path("single/run.json").write_text("{}")
    arguments, message = BAD[name]
    done = metricface("run", recipe, "--seeds", *arguments)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.output
    assert done.stderr.startswith(f"error: {message}")


def test_a_dry_run_checks_and_writes_nothing(recipe: Path, tmp_path: Path) -> None:
    done = metricface("run", recipe, "--seeds", "0,1", "--dry-run")
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.iterdir()} == {"tree", "tiny.toml"}
    assert lines(done, "seed ") == ["seed 0: would run", "seed 1: would run"]
    (tmp_path / "s" / "seed-1").mkdir(parents=True)
    (tmp_path / "s" / "seed-1" / "mine.txt").touch()
    done = metricface("run", recipe, "--seeds", "0,1", "--dry-run", "--out", "s")
    assert (done.exit_code, "s/seed-1: there is something there already." in done.stderr) == (2, True)


def test_ctrl_c_stops_all_of_them_and_resume_goes_on(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["run", str(recipe), "--set", "train.epochs=2", "--seeds", "0,1", "--out", "s"]
    press_ctrl_c(monkeypatch, at_step=2)
    done = metricface(*arguments)
    assert done.exit_code == 130, done.output
    assert "Traceback" not in done.stderr
    assert not Path("s/seed-1").exists()
    assert not Path("s/seeds.json").exists()
    assert done.stderr.splitlines()[-1] == (
        "error: interrupted in seed 0 (1 of 2), whose checkpoint is s/seed-0/checkpoints/last.pt. Go on: "
        "metricface run s/seed-0/recipe.toml --seeds 0,1 --out s --resume"
    )
    done = metricface("run", "s/seed-0/recipe.toml", "--seeds", "0,1", "--out", "s", "--resume")
    assert done.exit_code == 0, done.output
    assert "going on in s/seed-0" in done.stderr
    assert json.loads(Path("s/seeds.json").read_text())["seeds"] == [0, 1]
