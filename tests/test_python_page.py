"""What docs/python.md and examples/ show runs, and does what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, task_b_tree

from metricface.data.images import read_image


def test_the_blocks_of_the_page_run_one_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    task_b_tree.make_tree(Path("tree"))
    text = task_b_tree.RECIPE.replace('model = "test_resnet"', 'model = "test_efficientnet"')
    task_b_tree.write_recipe(tmp_path, Path("tree"), text.replace("epochs = 2", "epochs = 1")).rename("mine.toml")
    names: dict[str, Any] = {"photo": read_image(Path("tree/val/person_5/photo_0.png"))}
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/python.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for number, block in enumerate(blocks):
        exec(compile(block, f"docs/python.md, block {number + 1}", "exec"), names)
    assert names["embedding"].shape == (1, 16)
    assert float(names["embedding"].norm()) == pytest.approx(1, abs=1e-5)
    assert [part.difference for part in names["comparison"].differences] == [0.0] * len(names["comparison"].differences)
    shown = capsys.readouterr()
    assert "identification same-source rank1" in shown.out
    assert shown.err == ""


def test_the_example_trains_a_network_of_ones_own_and_evaluates_it(tmp_path: Path) -> None:
    task_b_tree.make_tree(tmp_path / "tree", train=8)
    command = [sys.executable, str(ROOT / "examples/own_model.py"), "tree", "--epochs", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    losses = [float(re.fullmatch(r"epoch \d: cross-entropy (\d+\.\d{3})", line)[1]) for line in lines[:2]]  # type: ignore[index]
    assert losses[1] < losses[0]
    assert [line.split(":")[0] for line in lines[2:]] == ["same-source", "cross-source"]
    assert all(re.search(r"rank-1 \d+\.\d % of 18 probes$", line) for line in lines[2:])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tree"]
