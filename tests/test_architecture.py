"""Imports go down the module map only, and the light modules stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import support

ROOT = support.ROOT / "metricface"

# Level of every room; a module imports rooms of lower levels and its own room only.
LEVELS = {
    **dict.fromkeys(("errors", "files", "machine"), 0),
    "contracts": 1,
    **dict.fromkeys(("functional", "model"), 2),
    "data": 3,  # above model: photos are prepared by model/preprocessing.py, and nowhere else
    **dict.fromkeys(("training", "evaluation"), 4),
    "components": 5,
    "recipe": 6,
    **dict.fromkeys(("build", "testing"), 7),
    **dict.fromkeys(("runs", "deploy"), 8),
    "cli": 9,
    "__main__": 10,
}
FACES = {"files": {"errors"}, "machine": {"errors"}}  # loose files of level 0 that the others there may import


def imports(path: Path) -> set[str]:
    """The rooms of metricface that a file imports anywhere in it, type checking included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "metricface":
            parts = node.module.split(".")
            found.update([parts[1]] if len(parts) > 1 else [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            found.update(alias.name.split(".")[1] for alias in node.names if alias.name.startswith("metricface."))
        if isinstance(node, ast.ImportFrom) and node.level:
            pytest.fail(f"{path}: relative import")
    return found - {"__version__"}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if own == "__init__":
        assert imports(path) == set()
        return
    for other in imports(path) - {own}:
        assert other in LEVELS, f"{path}: metricface.{other} has no level in the map of rooms"
        down = LEVELS[other] < LEVELS[own] or other in FACES.get(own, ())
        assert down, f"{path}: imports metricface.{other}, which is not below it"


def test_every_room_has_a_level() -> None:
    rooms = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in ROOT.rglob("*.py")} - {"__init__"}
    assert rooms == set(LEVELS)


HEAVY = {"torch", "numpy", "albumentations", "matplotlib", "cv2", "sklearn", "timm"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["list"],
        ["list", "loss", "--json"],
        ["--version"],
        ["runs", "--help"],
        ["plugin", "check", "--help"],
    ],
)
def test_help_and_list_load_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, atexit\n"
        f"sys.argv = ['metricface', *{arguments!r}]\n"
        f"atexit.register(lambda: print('LOADED', sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr))\n"
        "from metricface.cli.app import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "LOADED []"
    assert done.stdout


def test_importing_the_package_reads_no_network_and_seeds_nothing() -> None:
    code = (
        "import random, socket, sys\n"
        "before = random.getstate()\n"
        "socket.socket.connect = lambda *args: sys.exit('network at import')\n"
        "import metricface, metricface.build.experiment, metricface.runs.run\n"
        "import metricface.components.transforms.horizontal_flip, metricface.data.making.demo\n"
        "import metricface.testing, metricface.testing.losses, metricface.testing.datasets\n"
        "import metricface.components.backbones.timm, metricface.components.evaluators.identification\n"
        "sys.exit(0 if random.getstate() == before else 'seeded at import')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_kit_loads_nothing_heavy_before_a_check_runs() -> None:
    code = f"import sys, metricface.testing; sys.exit(str({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "set()\n"
