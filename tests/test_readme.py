"""What the README tells to type works: its walk-through of a plugin, line by line, in an environment thrown away."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest
from support.throw_away import ThrowAway

README = Path(__file__).parent.parent / "README.md"


def commands(heading: str) -> list[str]:
    """The lines of the first block of code below a heading of the README."""
    section = README.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    block = re.search(r"```\n(.*?)```", section, re.DOTALL)
    assert block is not None, f"no block of code below {heading!r}"
    return block[1].splitlines()


def test_the_walk_through_of_a_plugin_from_an_empty_folder(tmp_path: Path) -> None:
    pytest.importorskip("pip")
    environment, folder = ThrowAway(tmp_path / "venv"), tmp_path / "empty"
    folder.mkdir()
    lines = commands("Your own component")
    steps = (
        "plugin new loss mf-soft",
        "pip install --no-deps",
        "plugin check",
        "pytest",
        "data demo",
        "metricface run",
    )
    assert [step in line for step, line in zip(steps, lines, strict=True)] == [True] * len(steps)
    for line in lines:
        done = environment.run(line, folder)
        assert done.returncode == 0, f"$ {line}\n{done.stdout}"
    assert list(folder.glob("runs/mf-soft/*/report.md"))
    installed = {distribution.name for distribution in importlib.metadata.distributions()}
    assert "mf-soft" not in installed
