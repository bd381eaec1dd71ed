"""Small things that a user meets every day: programs that read, narrow terminals, one thing in place of several."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support import ROOT
from support.task_b_tree import make_tree, photo, write_recipe
from typer.testing import CliRunner, Result

from metricface.cli import tables
from metricface.cli.app import app
from metricface.data.images import write_image
from metricface.errors import counted


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_recipe(tmp_path, make_tree(tmp_path / "tree"))


def test_one_is_not_several() -> None:
    said = [counted(number, "person is", "people are") for number in (0, 1, 2)]
    assert said == ["0 people are", "1 person is", "2 people are"]


def test_check_for_programs(recipe: Path) -> None:
    done = metricface("check", recipe, "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["good"], document["problems"]) == (0, True, [])
    assert len(document["digest"]) == 64
    done = metricface("check", recipe, "--json", "--set", "head.margn=1", "--set", "train.epochs=0")
    assert done.exit_code == 2
    document = json.loads(done.stdout)
    assert document["good"] is False
    assert sorted((problem["where"], problem["key"]) for problem in document["problems"]) == [
        ("--set head.margn=1", "head.margn"),
        ("--set train.epochs=0", "train.epochs"),
    ]
    assert any(problem["what"].startswith("unknown key. Did you mean") for problem in document["problems"])
    done = metricface("check", "gone.toml", "--json")
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem["what"].startswith("gone.toml: no such recipe.")


def test_check_for_programs_has_the_warnings() -> None:
    done = metricface("check", ROOT / "experiments" / "task_a.toml", "--json")
    (warning,) = json.loads(done.stdout)["warnings"]
    assert (done.stderr, warning["key"]) == ("", "loss.bce")
    assert warning["what"].startswith('pos_weight = "balanced" corrects for imbalance, and so does the sampler')


def test_init_and_data_for_programs(tmp_path: Path) -> None:
    done = metricface("init", "--data", make_tree(tmp_path / "tree"), "--out", tmp_path / "r.toml", "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["recipe"]) == (0, str(tmp_path / "r.toml"))
    assert document["findings"][1].startswith("train: 5 people; 45 photos")
    for person in ("ann", "bob"):
        (tmp_path / "people" / person).mkdir(parents=True)
        for number in range(2):
            write_image(tmp_path / "people" / person / f"{number}.png", photo(0, number))
    (tmp_path / "people" / "ann" / "1.heic").touch()
    done = metricface("data", "distort", tmp_path / "people", tmp_path / "made", "--json")
    document = json.loads(done.stdout)
    assert document["splits"] == {"train": {"folders": 1, "photos": 2}, "val": {"folders": 1, "photos": 2}}
    assert document["notices"] == [
        f"{tmp_path}/people: left out as no photos: 1 .heic. Convert .heic to JPEG to have them read"
    ]
    assert (document["found"], document["folder"]) == (False, str(tmp_path / "made"))
    assert done.stderr == document["notices"][0] + "\n"


def test_a_dry_run_is_told_in_lines_for_people(recipe: Path) -> None:
    done = metricface("run", recipe, "--dry-run")
    rows = dict(line.split("\t") for line in done.stdout.splitlines())
    assert rows["train"] == "5 people, 45 photos"
    assert rows["steps"] == "8, 4 in each of 2 epochs"
    assert rows["time"].startswith("about ")
    assert "GiB of memory" in rows["memory"]
    assert not set("{}'") & set(done.stdout)


def test_a_name_alone_is_shown_where_one_kind_has_it() -> None:
    assert metricface("show", "cosface").stdout == metricface("show", "head", "cosface").stdout
    for words, message in {
        "arcface": "show: 'arcface' is a head and a loss. Say which: metricface show head arcface, or metricface show "
        "loss arcface",
        "arcfase": "show: no component 'arcfase'. Did you mean \"arcface\"? All there are: metricface list",
        "schedule": "show: which schedule? There are: constant, cosine, multistep, step",
    }.items():
        done = metricface("show", words)
        assert (done.exit_code, done.stdout, done.stderr) == (2, "", f"error: {message}\n")


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_what_one_copies_is_never_broken(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes the pipe for a terminal
    monkeypatch.setenv("NO_COLOR", "1")
    folder = "runs/task_b/20261126T120000Z-abcd" + "e" * 20
    row = (folder, "task_b", "0", "finished", "10/10", "identification same-source rank1 98.2 %, cross-source 70 %")
    tables.table(("folder", "recipe", "seed", "status", "epoch", "figures"), [row], copied=True)
    shown = capsys.readouterr().out
    assert folder in shown
    assert all(word in shown for word in ("finished", "10/10", "task_b"))


def test_no_model_ends_every_verb_with_one_code(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "recipe.toml").write_bytes(recipe.read_bytes())
    (tmp_path / "unfinished" / "run.json").write_text('{"status": "interrupted"}')
    (tmp_path / "file").touch()
    for path in ("empty", "gone", "unfinished", "file"):
        for verb in (("eval", path), ("classify", path, tmp_path / "tree", "--json")):
            done = metricface(*verb)
            assert (done.exit_code, done.stdout) == (2, ""), done.output
            assert len(done.stderr.splitlines()) == 1
            assert os.path.basename(path) in done.stderr  # noqa: PTH119 - a name
