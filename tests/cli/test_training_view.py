"""What is seen of training, on a terminal and off it."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.task_b_tree import make_tree, write_recipe
from typer.testing import CliRunner, Result

from metricface.cli import training_view
from metricface.cli.app import app

pty = pytest.importorskip("pty")
WILL_TAKE = (
    r"training will take about \d+ (s|min) and [\d.]+ of [\d.]+ GiB of memory on cpu, by its first 3 steps; "
    r"evaluations come on top"
)


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_recipe(tmp_path, make_tree(tmp_path / "tree"))


def captured(*arguments: object) -> str:
    """Return all that a command writes on a terminal of its own, 100 columns wide."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "metricface", *map(str, arguments)]
    wide = {**os.environ, "COLUMNS": "100", "LINES": "30", "TERM": "xterm"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=wide) as process:
        os.close(theirs)
        frames, limit = b"", time.monotonic() + 300
        while time.monotonic() < limit:
            if not select.select([ours], [], [], 1.0)[0]:
                continue
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux says so where the other end is closed
                break
            if not part:
                break
            frames += part
        process.kill()
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", frames.decode("utf-8", errors="replace"))


BAR = re.compile(r"epoch (\d+) of 40, step (\d) of 4, loss \d+\.\d{3}, \d+ photos/s\s.*left \d+ (s|min)")


def test_a_terminal_shows_a_bar_of_training_with_the_time_left(recipe: Path) -> None:
    seen = captured("run", recipe, "--set", "train.epochs=40", "--set", "train.evaluate_every=10", "--out", "run")
    bars = [match for line in re.split(r"[\r\n]+", seen) if (match := BAR.search(line))]
    assert len({(bar[1], bar[2]) for bar in bars}) >= 3, seen[-3000:]
    assert re.search(WILL_TAKE, seen)


def test_a_pipe_gets_a_line_now_and_then(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_view, "SECONDS_BETWEEN_LINES", 0.0)
    done = metricface("run", recipe, "--out", "run")
    assert done.exit_code == 0, done.output
    line = r"epoch (\d) of 2, step (\d) of 4, loss \d+\.\d{3}, \d+ photos/s, .+ left"
    at = [match.groups() for text in done.stderr.splitlines() if (match := re.fullmatch(line, text))]
    steps = [(str(epoch), str(step)) for epoch in (1, 2) for step in (1, 2, 3, 4)]
    # After an evaluation the last step is said once more, now with the evaluation counted in; at the end nothing is.
    assert at == [*steps[:4], steps[3], *steps[4:7]]


def test_a_short_run_says_only_how_long_it_will_take_and_a_quiet_one_nothing(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_view, "SECONDS_BETWEEN_LINES", 1e9)
    done = metricface("run", recipe, "--out", "run")
    assert " left" not in done.stderr
    assert sum(re.fullmatch(WILL_TAKE, line) is not None for line in done.stderr.splitlines()) == 1
    done = metricface("--quiet", "run", recipe, "--out", "other")
    assert (done.exit_code, done.stderr) == (0, "")
    assert Path("run/metrics.jsonl").read_bytes() == Path("other/metrics.jsonl").read_bytes()
