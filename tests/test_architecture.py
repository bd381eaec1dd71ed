"""Imports go down the module map only, and the light modules stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "metricface"

# Level of every module or package of metricface; a module imports lower levels and its own package only.
LEVELS = {
    "errors": 0,
    "contracts": 0,
    "results": 0,
    "files": 0,
    "model_description": 0.5,  # what model_folder reads
    "registry": 1,
    "provenance": 1.2,  # reads what the registry finds
    "trial": 1.3,  # the process beside it
    "images": 1,
    "machine": 1,
    "tables": 1,
    "outcomes": 1,  # writes what results hold
    "whitening": 0.5,  # a layer of the model
    "model": 1,
    "model_folder": 1,
    "functional": 1,
    "pml": 1,  # names and signatures of pytorch-metric-learning, for the adapters of losses and miners
    "metrics": 1,
    **dict.fromkeys(("backbones", "heads", "losses", "samplers", "datasets", "transforms", "distortions"), 2),
    **dict.fromkeys(("miners", "optimizers", "schedules"), 2),
    "doctor": 2.5,  # asks the registry, and the backbones' way to the hub
    "recipe": 3,
    "loading": 3,
    "inference": 3.5,  # embeds what loading loads
    "data": 3,
    "testing": 3.5,  # derives the arguments of what it checks
    "training": 4,
    "evaluation": 4,
    "reporting": 4,
    "preflight": 5,
    "build": 5.5,  # runs the preflight checks
    "scaffold": 6,
    "model_file": 6,
    "run_folder": 6,
    "earlier_runs": 6.2,  # reads run folders
    "runs": 6.2,
    "evaluate": 6.5,  # reads model files
    "compare": 6.5,  # reads run folders
    "run": 6.5,
    "deploy": 6.5,
    "seeds": 6.7,  # runs a recipe several times
    "cli": 7,
    "__main__": 8,
}
NEVER = {"training": {"recipe", "registry"}, "evaluation": {"recipe", "registry"}, "reporting": {"recipe", "registry"}}
# contracts.py names Result, which is on its own level, in an annotation only.
SAME_LEVEL = {("contracts", "results"), ("contracts", "errors"), ("results", "errors"), ("files", "errors")}


def imports(path: Path) -> set[str]:
    """The parts of metricface that a file imports anywhere in it, type checking included."""
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
        assert other in LEVELS, f"{path}: metricface.{other} has no level in the module map"
        down = LEVELS[other] < LEVELS[own] or (own, other) in SAME_LEVEL
        assert down, f"{path}: imports metricface.{other}, which is not below it"
        assert other not in NEVER.get(own, ()), f"{path}: {own} never sees {other}"


def test_every_part_has_a_level() -> None:
    parts = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in ROOT.rglob("*.py")} - {"__init__"}
    assert parts == set(LEVELS)


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
        "import metricface, metricface.build, metricface.run, metricface.transforms.horizontal_flip\n"
        "import metricface.testing, metricface.testing.losses, metricface.testing.datasets\n"
        "import metricface.backbones.timm, metricface.evaluation.identification, metricface.data.demo\n"
        "sys.exit(0 if random.getstate() == before else 'seeded at import')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_kit_loads_nothing_heavy_before_a_check_runs() -> None:
    code = f"import sys, metricface.testing; sys.exit(str({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "set()\n"
