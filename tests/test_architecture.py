"""Imports go down the module map only, the light modules stay light, files and functions short, components found."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support import ROOT
from support.rooms import FACES, LEVELS, PACKAGE, files, imports, room_of

from metricface.contracts import KINDS, Kind


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    own = room_of(path)
    if own == "__init__":  # the public face: what it imports is for type checkers alone, see test_public_names.py
        return
    for other in imports(path) - {own}:
        assert other in LEVELS, f"{path}: metricface.{other} has no level in the map of rooms"
        down = LEVELS[other] < LEVELS[own] or other in FACES.get(own, ())
        assert down, f"{path}: imports metricface.{other}, which is not below it"


def test_every_room_has_a_level() -> None:
    assert {room_of(path) for path in files()} - {"__init__"} == set(LEVELS)


FILE_LINES, FUNCTION_LINES = 250, 40  # what a reader holds in the head


def test_no_file_is_long() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files()}
    long = [f"{path}: {count} lines" for path, count in lines.items() if count > FILE_LINES]
    assert not long, "\n".join(long)


def functions(path: Path) -> dict[str, int]:
    """Return "file:line: name" -> lines of every function in a file: decorators, signature, docstring, nested ones."""
    return {
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}": (node.end_lineno or 0) - first + 1
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for first in [min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])]
    }


def test_no_function_is_long() -> None:
    lines = {function: count for path in files() for function, count in functions(path).items()}
    assert len(lines) > 500
    long = [f"{function}: {count} lines" for function, count in lines.items() if count > FUNCTION_LINES]
    assert not long, "\n".join(long)


POINTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_module_of_a_kind_is_one_component_unless_it_is_a_helper(kind: Kind) -> None:
    modules = [path.stem for path in (PACKAGE / "components" / kind.plural).glob("*.py") if path.name[0] != "_"]
    points = {name: value.partition(":")[0] for name, value in POINTS.get(kind.group, {}).items()}
    assert points == {name.replace("_", "-"): f"metricface.components.{kind.plural}.{name}" for name in sorted(modules)}


def test_every_entry_point_is_of_a_kind() -> None:
    assert set(POINTS) <= {kind.group for kind in KINDS.values()}


# Where each name of a file or folder of a run, or of a set of runs, stands as a string. The model folder of a run is
# found from below too: its name is model/description.py's, and too common a word to be looked for.
RUN_NAMES = {
    "runs/paths.py": (
        *("run.json", "run.lock", "recipe.toml", "metrics.jsonl", "times.jsonl", "last.pt", "best.pt", "outcomes"),
        *("report.json", "report.md", "losses.png", "metrics.png"),
    ),
    "runs/run_set.py": ("seeds.json", "seeds.md"),
    "evaluation/report/classification_plots.py": (
        *("confusion.png", "roc.png", "precision_recall.png", "reliability.png"),
    ),
    # The user's own recipe, not a run's.
    "cli/init.py": ("recipe.toml",),
    "cli/scaffold/plugin/package.py": ("recipe.toml",),
}


def last_part_of_strings(path: Path) -> set[str]:
    """Return what follows the last slash of every string of a file, of the parts of f-strings too.

    So a name counts alone and at the end of a path or pattern ("seed-*/run.json"), and not in a sentence: docstrings,
    help and messages may name files to the user. A name that code puts together from pieces is not seen.
    """
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    strings = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return {text.rpartition("/")[2] for text in strings}


def test_every_file_name_of_a_run_stands_in_one_file_only() -> None:
    names = {name for there in RUN_NAMES.values() for name in there}
    found = {path.relative_to(PACKAGE).as_posix(): names & last_part_of_strings(path) for path in files()}
    assert {path: there for path, there in found.items() if there} == {
        path: set(there) for path, there in RUN_NAMES.items()
    }


HEAVY = {"torch", "numpy", "albumentations", "matplotlib", "cv2", "sklearn", "timm"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["list"],
        ["list", "head", "--json"],
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
