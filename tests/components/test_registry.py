from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from support.installed import install, installing

from metricface.components.registry import Registry, installed_registries
from metricface.contracts import KINDS
from metricface.errors import PluginError

GOOD = """
class Good:
    consumes = "embeddings"
    def __init__(self, *, strength: float = 1.0) -> None: ...
    def __call__(self, given): return given.embeddings.sum() * 0
"""
LOSSES = "metricface.losses"


def losses() -> Registry:
    return Registry(KINDS["loss"])


def test_a_component_of_an_installed_package_is_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "mf-good", {"mf_good": GOOD}, {LOSSES: {"good": "mf_good:Good"}})
    installing(monkeypatch, tmp_path)
    registry = losses()
    entry = registry.find("good")
    assert (entry.distribution, entry.version, entry.status) == ("mf-good", "1.0", "available")
    assert {"good", "cross-entropy", "contrastive"} <= set(registry.names())
    assert "mf_good" not in sys.modules
    assert registry.load("good").__name__ == "Good"


def test_an_unknown_name_gets_the_nearest_all_names_and_a_way_out() -> None:
    registry = Registry(KINDS["loss"], [EntryPoint(name, f"m:{name}", LOSSES) for name in ("mean", "entropy", "cross")])
    with pytest.raises(PluginError) as caught:
        registry.find("cros")
    assert str(caught.value) == (
        "unknown loss 'cros'. Did you mean \"cross\"? There are: cross, entropy, mean. "
        "If you just added it, run pip install -e . again."
    )
    assert caught.value.exit_code == 4


def test_two_packages_with_one_name_are_both_named_and_either_can_be_picked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("mf-one", "mf-two"):
        module = package.replace("-", "_")
        install(tmp_path, package, {module: GOOD}, {LOSSES: {"twin": f"{module}:Good"}}, version="2.1")
    installing(monkeypatch, tmp_path)
    registry = losses()
    with pytest.raises(PluginError) as caught:
        registry.find("twin")
    assert str(caught.value) == (
        'loss \'twin\': brought by both mf-one 2.1 and mf-two 2.1. Write "mf-one:twin" or "mf-two:twin".'
    )
    assert registry.load("mf-two:twin").__module__ == "mf_two"
    twins = [entry for entry in registry.entries() if entry.name == "twin"]
    assert [(entry.distribution, entry.status) for entry in twins] == [("mf-one", "ambiguous"), ("mf-two", "ambiguous")]
    assert registry.load("contrastive")


BROKEN = {
    "syntax": ("def (", "cannot be imported (SyntaxError: "),
    "raises": ("raise ValueError('no\\nlicence')", "cannot be imported (ValueError: no licence)"),
    "exits": ("import sys; sys.exit(3)", "cannot be imported (SystemExit: 3)"),
    "import": ("import not_there_at_all", "(ModuleNotFoundError: No module named 'not_there_at_all')"),
    "missing": ("", "cannot be imported (AttributeError: "),
    "number": ("Thing = 3", "it is a int, not a class or function."),
    "kwargs": (
        "class Thing:\n def __init__(self, **kwargs: object) -> None: ...\n def __call__(self, given): ...",
        "mf_broken.py:1 it takes **kwargs: object, which would swallow misspelt keys; name every parameter.",
    ),
    "positional": (
        "class Thing:\n def __init__(self, a: int) -> None: ...\n def __call__(self, given): ...",
        "parameter 'a' is not keyword-only; put a * before it.",
    ),
    "unannotated": (
        "class Thing:\n def __init__(self, *, a=1) -> None: ...\n def __call__(self, given): ...",
        "parameter 'a' has no annotation.",
    ),
    "no call": ("class Thing:\n def __init__(self) -> None: ...", "it has no __call__, which every loss needs."),
    "no forward": (
        "from torch import nn\nclass Thing(nn.Module):\n def __init__(self) -> None: ...",
        "it has no __call__, which every loss needs.",
    ),
    "unresolvable": (
        "from __future__ import annotations\nclass Thing:\n"
        " def __init__(self, *, a: Nowhere) -> None: ...\n def __call__(self, given): ...",
        "its annotations cannot be read at run time (name 'Nowhere' is not defined).",
    ),
    "factory": (
        "class Made:\n pass\ndef Thing(*, a: int = 1) -> Made: ...",
        "it has no __call__, which every loss needs.",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_named_with_its_reason_and_breaks_nothing_else(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, message = BROKEN[name]
    install(tmp_path, "mf-broken", {"mf_broken": source}, {LOSSES: {"thing": "mf_broken:Thing"}})
    installing(monkeypatch, tmp_path)
    monkeypatch.delitem(sys.modules, "mf_broken", raising=False)
    registry = losses()
    assert "thing" in registry.names()
    assert registry.find("thing").version == "1.0"
    with pytest.raises(PluginError) as caught:
        registry.load("thing")
    assert str(caught.value).startswith("loss 'thing' (mf_broken:Thing of mf-broken 1.0): ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert registry.load("contrastive")
    monkeypatch.delitem(sys.modules, "mf_broken", raising=False)


def test_ctrl_c_while_a_plugin_is_imported_is_not_the_plugins_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "mf-stop", {"mf_stop": "raise KeyboardInterrupt"}, {LOSSES: {"stop": "mf_stop:Thing"}})
    installing(monkeypatch, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        losses().load("stop")


@pytest.mark.parametrize("kind", KINDS)
def test_every_installed_component_keeps_its_contract(kind: str) -> None:
    registry = installed_registries()[kind]
    for name in registry.names():
        assert callable(registry.load(name))
        assert (registry.load(name).__doc__ or "").strip(), f"{kind} {name} has no docstring"


def test_the_registry_and_the_contracts_load_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; from metricface.components.registry import installed_registries\n"
        "installed_registries(); print({'torch', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
