from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from support import ROOT

import metricface

SCRIPT = """\
from typing import assert_type

import metricface
from metricface.build.model_folder import LoadedModel

model = metricface.load_model("runs/mine")
assert_type(model, LoadedModel)
recipe = metricface.load_recipe("mine.toml", ["train.epochs=2"])
done = metricface.run(recipe, console=metricface.Silent(), out="runs/x")
metricface.compare("runs/a", done.folder, samples=100, seed=0)
for name in metricface.__all__:
    print(name)
"""


def test_every_public_name_is_there() -> None:
    assert dir(metricface) == sorted(metricface.__all__)
    for name in metricface.__all__:
        found = getattr(metricface, name)
        assert getattr(found, "__doc__", None), name
    with pytest.raises(AttributeError, match="module 'metricface' has no attribute 'nothing'"):
        _ = metricface.nothing


def test_type_checkers_and_python_see_the_same_names() -> None:
    tree = ast.parse(Path(metricface.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    shown = {
        alias.asname or alias.name: f"{node.module}:{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(shown) == set(metricface.__all__) - {"__version__"}
    for name, home in shown.items():
        module, _, attribute = home.partition(":")
        assert getattr(metricface, name) is getattr(import_module(module), attribute)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, metricface; print({'torch', 'numpy', 'cv2'} & set(sys.modules), len(metricface.__version__))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set() 5\n"


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (SCRIPT, []),
        (
            "import metricface\nmetricface.no_such_name\nmetricface.load_model(5)\n",
            [
                'script.py:2: error: Module has no attribute "no_such_name"  [attr-defined]',
                'script.py:3: error: Argument 1 to "load_model" has incompatible type "int"; '
                'expected "str | PathLike[str]"  [arg-type]',
            ],
        ),
    ],
    ids=["right", "wrong"],
)
def test_a_type_checker_sees_the_types_and_refuses_other_names(script: str, found: list[str], tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(script)
    ours = ["--config-file", ROOT / "pyproject.toml", "--cache-dir", ROOT / ".mypy_cache"]
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *ours]
    done = subprocess.run([*command, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == found, done.stderr
    assert done.returncode == bool(found)


def test_names_that_plugins_of_before_import_are_still_there() -> None:
    from metricface.contracts import Choice, KeysOf
    from metricface.testing import CheckResult, Outcome

    assert (Choice, Outcome, metricface.registries) == (KeysOf, CheckResult, metricface.installed_registries)
