"""`metricface plugin new`: what it writes installs, keeps its contract, passes its own tests and trains, untouched."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.task_b_tree import make_tree
from support.throw_away import ThrowAway
from typer.testing import CliRunner, Result

from metricface.cli.app import app
from metricface.cli.scaffold.plugin.package import TEMPLATES

# One process for many command lines: most of the time of each would go into importing torch.
EACH_LINE = """\
import sys
from metricface.cli.app import app
for line in sys.stdin:
    print("$", line, end="", flush=True)
    try:
        app(line.split())
    except SystemExit as end:
        if end.code:
            sys.exit(f"{line}ended with {end.code}")
"""


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_what_is_written_and_what_is_next_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = metricface("plugin", "new", "loss", "metricface-soft", "--dir", "mine")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (
        "mine/metricface-soft: written. Next: pip install --no-deps --no-build-isolation -e mine/metricface-soft\n"
        "Then: metricface plugin check mine/metricface-soft, and what its README.md says.\n"
    )
    assert (tmp_path / "mine/metricface-soft/metricface_soft.py").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("los", "mf-x"),
            "error: plugin new: no kind 'los'. Did you mean \"loss\"? "
            "Kinds: backbone, head, loss, sampler, dataset, tracker, index, distortion\n",
        ),
        (
            ("miner", "mf-x"),
            "error: plugin new: no template for kind 'miner'. "
            "Kinds: backbone, head, loss, sampler, dataset, tracker, index, distortion\n",
        ),
        (
            ("loss", "../mf-x"),
            "error: plugin new: NAME must be lower-case letters and digits, parts joined by -, a letter first "
            "(got '../mf-x').\n",
        ),
    ],
)
def test_mistakes_write_nothing_and_end_with_2(
    arguments: tuple[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = metricface("plugin", "new", *arguments)
    assert (done.exit_code, done.stdout, done.stderr, list(tmp_path.iterdir())) == (2, "", message, [])


def test_every_package_installs_keeps_its_contract_passes_its_tests_and_trains_untouched(tmp_path: Path) -> None:
    pytest.importorskip("pip")
    environment, folder = ThrowAway(tmp_path / "venv"), tmp_path / "work"
    make_tree(folder / "data/task_b", train=16, photos=2)
    names = {kind: f"mf-{kind}" for kind in TEMPLATES}
    for kind, name in names.items():
        assert metricface("plugin", "new", kind, name, "--dir", folder).exit_code == 0
    folders = list(names.values())

    def run(line: str, given: str = "") -> str:
        done = environment.run(line, folder, given)
        assert done.returncode == 0, f"$ {line}\n{done.stdout}"
        return done.stdout

    run("pip install --no-deps --no-build-isolation -e " + " -e ".join(folders))
    (folder / "each_line.py").write_text(EACH_LINE)
    lines = [f"plugin check {name}\nrun {name}/recipe.toml\n" for name in folders]
    run("python each_line.py", "".join(lines))
    assert len(list(folder.glob("runs/*/*/report.md"))) == len(folders)
    assert "failed" not in run("pytest -q " + " ".join(folders))
