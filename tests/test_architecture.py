"""Imports go down the module map only, and the light modules stay light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.rooms import FACES, LEVELS, PACKAGE, files, imports, room_of


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    own = room_of(path)
    if own == "__init__":
        assert imports(path) == set()
        return
    for other in imports(path) - {own}:
        assert other in LEVELS, f"{path}: metricface.{other} has no level in the map of rooms"
        down = LEVELS[other] < LEVELS[own] or other in FACES.get(own, ())
        assert down, f"{path}: imports metricface.{other}, which is not below it"


def test_every_room_has_a_level() -> None:
    assert {room_of(path) for path in files()} - {"__init__"} == set(LEVELS)


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
