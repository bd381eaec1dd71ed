"""Following a run from its folder, as another process trains."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.task_b_tree import make_tree, write_recipe
from typer.testing import CliRunner, Result

from metricface.cli.app import app
from metricface.components.registry import installed_registries
from metricface.errors import Interrupted
from metricface.recipe.load import load_recipe
from metricface.runs.folder import RunFolder
from metricface.runs.read import read_run
from metricface.runs.run import run
from metricface.runs.watch import watch
from metricface.training.state import Evaluated, StepDone


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_run_is_seen_from_outside_while_it_trains_and_after(tmp_path: Path) -> None:
    known = installed_registries()
    recipe = load_recipe(write_recipe(tmp_path, make_tree(tmp_path / "tree")), registries=known)
    folder = tmp_path / "run"
    seen: list[str] = []

    def look(event: StepDone | Evaluated) -> None:
        if isinstance(event, StepDone) and event.step == 6:
            found = read_run(folder)
            seen.append(found.progress)
            assert (found.to_json()["step"], found.to_json()["steps"]) == (6, 8)
            assert found.to_json()["seconds_left"] > 0
            seen.append(next(watch(folder)).step)
            seen.append(metricface("runs", "list", tmp_path).stdout)
            raise Interrupted(2)

    with pytest.raises(Interrupted):
        run(recipe, known, out=folder, observers=(look,))
    assert re.fullmatch(r"1/2, step 2 of 4, .+ left", seen[0])
    losses = r"cross-entropy \d+\.\d{4}, contrastive \d+\.\d{4}"
    assert re.fullmatch(rf"epoch 2 of 2, step 2 of 4, {losses}, \d+ photos/s, .+ left", seen[1])
    assert re.search(r"\trunning\t1/2, step 2 of 4, .+ left\t", seen[2])

    done = metricface("runs", "watch", folder)
    assert done.exit_code == 0, done.output
    evaluated, step, end = done.stdout.splitlines()
    assert evaluated.startswith("epoch 1 evaluated: identification same-source rank1 ")
    assert re.fullmatch(rf"epoch 2 of 2, step 2 of 4, {losses}", step)
    assert end == f"interrupted. Go on: {RunFolder(folder).resume_line}"
    assert read_run(folder).to_json()["seconds_left"] is None

    run(recipe, known, out=folder, resume=True)
    done = metricface("runs", "watch", folder)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "finished")
    assert done.stdout.splitlines()[0].startswith("epoch 2 evaluated: ")


def test_new_lines_are_told_once_and_half_a_line_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunFolder, "in_use", lambda _: True)
    record, journal = tmp_path / "run.json", tmp_path / "metrics.jsonl"
    record.write_text('{"status": "running"}')

    def line(step: int) -> str:
        return json.dumps({"event": "step", "step": step, "epoch": 0, "losses": {"x": 0.5}}) + "\n"

    stages = iter(
        [
            lambda: journal.write_text(line(1) + line(2)),
            lambda: journal.write_text(line(1) + line(2) + line(3) + line(4)[:9]),
            lambda: None,
            lambda: journal.write_text(line(1) + line(2) + line(3) + line(4)),
            lambda: record.write_text('{"status": "failed"}'),
        ]
    )
    looks = [(look.step, look.status) for look in watch(tmp_path, wait=lambda: next(stages)())]
    assert looks == [
        ("", "running"),
        ("epoch 1, step 2, x 0.5000", "running"),
        ("epoch 1, step 3, x 0.5000", "running"),
        ("epoch 1, step 4, x 0.5000", "running"),
        ("", "failed"),
    ]


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    done = metricface("runs", "watch", tmp_path)
    assert (done.exit_code, done.stderr) == (
        2,
        f"error: {tmp_path}: no run here (no run.json). The runs that there are: metricface runs list\n",
    )
