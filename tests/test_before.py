"""Models, runs and checkpoints of before load as before: tests/before/ was made by the code of baef581.

Its recipes are those of tests/support/task_a_tree.py and task_b_tree.py with the backbone test_efficientnet; `finished`
and `classes` are whole runs, `stopped` was interrupted in its second epoch, its checkpoint as tensors and JSON.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support import ROOT, task_a_tree, task_b_tree
from typer.testing import CliRunner

from metricface.build.model_folder import load_model
from metricface.cli.app import app
from metricface.components.registry import installed_registries

BEFORE = ROOT / "tests" / "before"
EXPECTED = json.loads((BEFORE / "expected.json").read_text())
IMAGES = torch.linspace(-1, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with the photos and the runs, which name their photos relative to it."""
    monkeypatch.chdir(tmp_path)
    task_b_tree.make_tree(Path("tree"))
    task_a_tree.make_tree(Path("tree_a"))
    for name in ("finished", "stopped", "classes"):
        shutil.copytree(BEFORE / name, name)
    Path("stopped/checkpoints").mkdir()
    tensors = load_file("stopped/checkpoint.safetensors")
    torch.save(_put_together(json.loads(Path("stopped/checkpoint.json").read_text()), tensors), _last())
    for name in ("checkpoint.json", "checkpoint.safetensors"):
        Path("stopped", name).unlink()


def _last() -> Path:
    return Path("stopped/checkpoints/last.pt")


def _put_together(part: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    """Return what was saved, from a tree of {"tensor": name}, {"items": pairs}, {"list": ...} and {"value": ...}."""
    if "tensor" in part:
        return tensors[part["tensor"]]
    if "items" in part:
        return {key: _put_together(value, tensors) for key, value in part["items"]}
    if "list" in part:
        found = [_put_together(value, tensors) for value in part["list"]]
        return tuple(found) if part["tuple"] else found
    return part["value"]


def metricface(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["finished", "classes"])
def test_a_model_gives_the_embeddings_and_logits_that_it_gave(name: str) -> None:
    loaded = load_model(Path(name), installed_registries())
    with torch.inference_mode():
        embeddings = loaded.model(IMAGES)
        torch.testing.assert_close(embeddings[:, :8], torch.tensor(EXPECTED[name]["embeddings"]), atol=1e-4, rtol=1e-4)
        if "logits" in EXPECTED[name]:
            assert loaded.head is not None
            logits = loaded.head(embeddings).logits
            torch.testing.assert_close(logits, torch.tensor(EXPECTED[name]["logits"]), atol=1e-4, rtol=1e-4)


def test_a_classifier_keeps_its_threshold_and_temperature() -> None:
    stored = json.loads(Path("classes/model/model.json").read_text())["operating_points"]["classification"][0]
    other = json.loads(metricface("eval", "classes", "--data", shutil.copytree("tree_a", "other"), "--json"))
    (point,) = other["classification"]["operating_points"]
    assert point["threshold"] == stored["threshold"]
    assert point["temperature"] == stored["temperature"]
    rows = metricface("classify", "classes", "tree_a/val", "-o", "out.csv") + Path("out.csv").read_text()
    assert rows.count(",ok\n") == 40


@pytest.mark.parametrize("name", ["finished", "classes"])
def test_evaluating_it_gives_the_figures_that_it_gave(name: str) -> None:
    found = json.loads(metricface("eval", name, "--json"))
    for evaluator, result in EXPECTED[name]["results"].items():
        for reading, figures in result.items():
            if isinstance(figures, dict) and "n" in figures:
                floats = {key: value for key, value in figures.items() if isinstance(value, float)}
                assert {key: found[evaluator][reading][key] for key in floats} == pytest.approx(floats, abs=0.03)
                assert found[evaluator][reading]["n"] == figures["n"]


def test_runs_are_listed_with_their_status_and_figures() -> None:
    listed = {Path(run["folder"]).name: run for run in json.loads(metricface("runs", "list", ".", "--json"))}
    assert {name: run["status"] for name, run in listed.items()} == {
        "classes": "finished",
        "finished": "finished",
        "stopped": "interrupted",
    }
    assert listed["finished"]["figures"]["identification.same-source.rank1"] == 1.0
    assert listed["classes"]["figures"]["classification.accuracy"] == 0.675
    assert listed["stopped"]["epoch"] == 1
    assert "rank-1" in metricface("runs", "show", "finished")


def test_an_interrupted_run_goes_on_to_the_end_that_it_would_have_had() -> None:
    metricface("run", "stopped/recipe.toml", "--out", "stopped", "--resume")
    ended, whole = (_steps(Path(name)) for name in ("stopped", "finished"))
    assert [event["step"] for event in ended] == [event["step"] for event in whole]
    for mine, theirs in zip(ended, whole, strict=True):
        assert mine["losses"] == pytest.approx(theirs["losses"], rel=2e-3)
    compared = json.loads(metricface("compare", "stopped", "finished", "--json"))
    assert compared["differences"]
    assert compared["recipe"] == []


def _steps(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == "step"]
