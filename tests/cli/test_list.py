"""`metricface list`, and what `show` says of components that are broken or brought twice."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.installed import install, installing
from typer.testing import CliRunner, Result

from metricface import __version__
from metricface.cli.app import app

MINERS = "metricface.miners"
GOOD = """
class Good:
    '''Chooses [nothing], in a summary that is so long that it cannot stand on one line of a terminal of 80 columns.'''
    def __init__(self, *, share: float = 0.5) -> None: ...
    def __call__(self, embeddings, labels): ...
"""
REASON = "cannot be imported (ValueError: no licence). Fix or uninstall mf-lapsed."


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good package, a broken one, and two with one name."""
    install(tmp_path, "mf-lapsed", {"mf_lapsed": "raise ValueError('no licence')"}, {MINERS: {"bad": "mf_lapsed:Bad"}})
    for name in ("left", "right"):
        install(tmp_path, f"mf-{name}", {f"mf_{name}": GOOD}, {MINERS: {"twin": f"mf_{name}:Good"}})
    install(tmp_path, "mf-of-a-long-name", {"mf_long": GOOD}, {MINERS: {"good": "mf_long:Good"}})
    installing(monkeypatch, tmp_path)
    return tmp_path


@pytest.mark.usefixtures("site")
def test_a_pipe_gets_a_row_for_every_component() -> None:
    done = metricface("list", "miner")
    columns, *rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert (done.exit_code, done.stderr) == (0, "")
    assert columns == ["kind", "name", "status", "package", "summary"]
    assert ["miner", "bad", "BROKEN", "mf-lapsed 1.0", REASON] in rows
    ours = {"bad", "batch-hard", "good", "twin"}  # others may be installed
    assert [row[1:4] for row in rows if row[1] in ours] == [
        ["bad", "BROKEN", "mf-lapsed 1.0"],
        ["batch-hard", "available", f"metricface {__version__}"],
        ["good", "available", "mf-of-a-long-name 1.0"],
        ["twin", "ambiguous", "mf-left 1.0"],
        ["twin", "ambiguous", "mf-right 1.0"],
    ]


def test_one_json_document_has_all_that_is_known(site: Path) -> None:
    entries = json.loads(metricface("list", "miner", "--json").stdout)
    found = {(entry["name"], entry["distribution"]): entry for entry in entries}
    assert found["bad", "mf-lapsed"] == {
        "kind": "miner",
        "name": "bad",
        "object": "mf_lapsed:Bad",
        "distribution": "mf-lapsed",
        "version": "1.0",
        "file": str(site / "mf_lapsed.py"),
        "status": "BROKEN",
        "reason": REASON,
        "summary": "",
    }
    assert found["twin", "mf-right"]["reason"] == 'brought by mf-left 1.0 too. In a recipe write "mf-right:twin".'
    assert found["batch-hard", "metricface"]["status"] == "available"


@pytest.mark.usefixtures("site")
def test_a_terminal_of_80_columns_gets_lines_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes the pipe for a terminal
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    lines = [re.sub("\x1b[^m]*m", "", line).rstrip() for line in metricface("list", "miner").stdout.splitlines()]
    assert lines[0] == "miner"
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert "bad mf-lapsed 1.0 BROKEN: cannot be imported (ValueError:" in text
    assert "Chooses [nothing], in a" in text
    assert "twin mf-left 1.0 ambiguous: brought by mf-right 1.0 too." in text


def test_an_unknown_kind_gets_the_nearest() -> None:
    done = metricface("list", "los")
    assert (done.exit_code, "no kind 'los'. Did you mean \"loss\"?" in done.stderr) == (2, True)


def test_show_gives_one_json_document() -> None:
    shown = json.loads(metricface("show", "head", "arcface", "--json").stdout)
    listed = next(c for c in json.loads(metricface("list", "head", "--json").stdout) if c["name"] == "arcface")
    assert {key: shown[key] for key in listed} == listed
    assert shown["docstring"].startswith(shown["summary"])
    assert shown["parameters"][1] == {
        "name": "margin",
        "type": "float",
        "required": False,
        "default": 0.5,
        "bounds": [">= 0", "<= 1.571"],
    }
    assert shown["toml"].startswith('[head]\nname = "arcface"\n')
    first = json.loads(metricface("show", "dataset", "csv-manifest", "--json").stdout)["parameters"][0]
    assert (first["name"], first["required"], first["default"]) == ("manifest", True, None)


@pytest.mark.parametrize("how", [[], ["--json"]])
def test_show_of_a_broken_component_says_where_it_is_and_why(how: list[str], site: Path) -> None:
    done = metricface("show", "miner", "bad", *how)
    assert done.exit_code == 4
    assert done.stderr == f"error: miner 'bad' (mf_lapsed:Bad of mf-lapsed 1.0): {REASON}\n"
    if how:
        assert {"status": "BROKEN", "reason": REASON}.items() <= json.loads(done.stdout).items()
    else:
        assert done.stdout == f"miner bad  (mf_lapsed:Bad, mf-lapsed 1.0)\n{site / 'mf_lapsed.py'}\n"


@pytest.mark.usefixtures("site")
def test_show_of_a_name_that_two_packages_bring_names_both_and_shows_either() -> None:
    done = metricface("show", "miner", "twin")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        "error: show: miner 'twin': brought by both mf-left 1.0 and mf-right 1.0. "
        'Write "mf-left:twin" or "mf-right:twin".\n'
    )
    assert "miner mf-right:twin  (mf_right:Good, mf-right 1.0)\n" in metricface("show", "miner", "mf-right:twin").stdout
