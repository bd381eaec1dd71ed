"""Names of people and photos that are odd: not UTF-8, spelt two ways, commands to a terminal, links in circles."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest
from support.task_b_tree import RECIPE, make_tree, write_recipe
from typer.testing import CliRunner, Result

from metricface.build.model_folder import load_model
from metricface.cli.app import app
from metricface.evaluation.report.outcomes import read_outcomes


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_tree(tmp_path / "tree")


def write_short(folder: Path, tree: Path) -> Path:
    return write_recipe(folder, tree, RECIPE.replace("epochs = 2", "epochs = 1"))


def test_a_person_whose_name_is_not_utf_8_is_trained_evaluated_and_compared(tree: Path, tmp_path: Path) -> None:
    names = {split: os.fsdecode(b"Jos\xe9 " + split.encode()) for split in ("train", "val")}
    (tree / "train" / "person_0").rename(tree / "train" / names["train"])
    (tree / "val" / "person_5").rename(tree / "val" / names["val"])
    (tree / "train" / "person_1" / os.fsdecode(b"br\xe9k.png")).write_text("no photo")
    loop = tree / "train" / "person_1" / "loop"
    loop.symlink_to(loop)
    (tree / "train" / "person_1" / "loop.jpg").symlink_to("loop.jpg")
    done = metricface("run", write_short(tmp_path, tree), "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert "not a photo, or a damaged one" in done.stderr
    assert "left out as no photos: 2 with no file behind the name" in done.stderr
    assert names["train"] in load_model(tmp_path / "run").description.labels
    rows = read_outcomes(tmp_path / "run" / "outcomes")["identification"]
    assert names["val"] in rows["person"]
    assert f"{names['val']}/photo_0.png" in rows["path"]
    for file in ("run.json", "report.json", "report.md", "metrics.jsonl", "model/model.json"):
        (tmp_path / "run" / file).read_text(encoding="utf-8")
    done = metricface("eval", tmp_path / "run", "--data", tree, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["identification"]["same-source"]["n"] == 18
    for arguments in (("compare", tmp_path / "run", tmp_path / "run"), ("runs", "show", tmp_path / "run")):
        assert metricface(*arguments).exit_code == 0
    again = metricface("run", tmp_path / "tiny.toml", "--out", tmp_path / "run", "--resume")
    assert again.exit_code == 0, again.output


def test_distort_takes_odd_names_and_shows_what_they_hide(tree: Path, tmp_path: Path) -> None:
    source = tree / "train"
    odd = os.fsdecode(b"Jos\xe9")
    (source / "person_0").rename(source / odd)
    for person in sorted(source.iterdir())[1:]:  # one bad photo in twenty and more is let pass
        for number in range(5, 10):
            (person / f"photo_{number}.png").write_bytes((person / "photo_0.png").read_bytes())
    (source / odd / "\x1b[31m.png").write_text("no photo")
    done = metricface("data", "distort", source, tmp_path / "out", "--val-people", 1)
    assert done.exit_code == 0, done.output
    assert r"\x1b[31m.png: not a photo" in done.stdout
    assert "\x1b" not in done.stdout
    assert len(list((tmp_path / "out").glob(f"*/{odd}/photo_*.png"))) == 3


def test_two_spellings_of_an_accent_are_one_person_in_two_splits(tree: Path, tmp_path: Path) -> None:
    (tree / "train" / "person_0").rename(tree / "train" / unicodedata.normalize("NFD", "José"))
    (tree / "val" / "person_5").rename(tree / "val" / unicodedata.normalize("NFC", "José"))
    done = metricface("run", write_short(tmp_path, tree), "--out", tmp_path / "run")
    assert done.exit_code != 0
    assert done.stderr == (
        "error: data: 1 person is in both train and val (José), so val would not measure people never trained on. "
        "Keep each person in one split.\n"
    )
    assert not (tmp_path / "run").exists()


def test_names_that_differ_in_case_alone_are_told_of(tree: Path, tmp_path: Path) -> None:
    (tree / "train" / "person_0").rename(tree / "train" / "Ann")
    (tree / "val" / "person_5").rename(tree / "val" / "ann")
    done = metricface("run", write_short(tmp_path, tree), "--dry-run")
    assert done.exit_code == 0, done.output
    assert (
        "data: names that differ in case or in the spelling of an accent alone are taken for different people "
        "('Ann' and 'ann'). Give one person one name."
    ) in done.output


def test_a_name_does_not_command_the_terminal(tree: Path, tmp_path: Path) -> None:
    (tree / "train" / "person_1" / "\x1b[31mred\x07.png").write_text("no photo")
    done = metricface("run", write_short(tmp_path, tree), "--dry-run")
    assert done.exit_code == 0, done.output
    assert r"\x1b[31mred\x07.png: not a photo" in done.stderr
    assert "\x1b" not in done.stderr
    done = metricface("run", tmp_path / "\x1b[2Jno.toml")
    assert done.exit_code != 0
    assert r"\x1b[2Jno.toml" in done.stderr
    assert "\x1b" not in done.stderr
