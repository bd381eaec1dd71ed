"""Where components come from and which are broken, through real installed metadata."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.installed import install, installing

from metricface.components import loaded_before, provenance
from metricface.components.provenance import Provenance, survey
from metricface.components.registry import Registry, installed_registries
from metricface.contracts import KINDS

LOSSES = "metricface.losses"
GOOD = '''
class Good:
    """Says nothing.

    At length.
    """
    consumes = "embeddings"
    def __init__(self, *, strength: float = 1.0) -> None: ...
    def __call__(self, given): return given.embeddings.sum() * 0
'''
BROKEN = {
    "syntax": ("def (", "cannot be imported (SyntaxError: invalid syntax (mf_syntax.py, line 1)). Fix or uninstall"),
    "raises": ("raise ValueError('no\\nlicence')", "cannot be imported (ValueError: no licence). Fix or uninstall"),
    "exits": ("import sys; sys.exit(3)", "cannot be imported (SystemExit: 3). Fix or uninstall mf-exits."),
    "dies": ("import os; os._exit(3)", "importing it ends the process (exit status 3). Fix or uninstall mf-dies."),
    "stops": ("raise KeyboardInterrupt", "importing it ends the process (exit status -2). Fix or uninstall mf-stops."),
    "imports": ("import not_there_at_all", "(ModuleNotFoundError: No module named 'not_there_at_all'). Fix or"),
    "missing": ("", "cannot be imported (AttributeError: "),
    "kwargs": (
        "class Thing:\n def __init__(self, **kwargs: object) -> None: ...\n def __call__(self, given): ...",
        "mf_kwargs.py:1 it takes **kwargs: object, which would swallow misspelt keys; name every parameter.",
    ),
}


def losses(monkeypatch: pytest.MonkeyPatch) -> list[Provenance]:
    """Survey the losses of this folder's packages; those that are really installed would only take time."""
    monkeypatch.setattr(Registry, "entries", lambda self, whole=Registry.entries: [e for e in whole(self) if _asked(e)])
    return survey(installed_registries(), ["loss"])


def _asked(entry: object) -> bool:
    return entry.distribution.startswith("mf-") or entry.name == "contrastive"  # type: ignore[attr-defined]


def test_every_fault_is_found_with_its_reason_and_hurts_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, (source, _) in BROKEN.items():
        install(tmp_path, f"mf-{name}", {f"mf_{name}": source}, {LOSSES: {name: f"mf_{name}:Thing"}})
    install(tmp_path, "mf-gone", {}, {LOSSES: {"gone": "mf_gone:Thing"}})
    install(tmp_path, "mf-sound", {"mf_sound": "print('hello')\n" + GOOD}, {LOSSES: {"good": "mf_sound:Good"}})
    installing(monkeypatch, tmp_path)
    found = {component.name: component for component in losses(monkeypatch)}
    assert found.keys() == {*BROKEN, "gone", "good", "contrastive"}
    for name, (_, reason) in BROKEN.items():
        assert found[name].status == "BROKEN", name
        assert reason in found[name].reason, name
        assert "\n" not in found[name].reason
        assert found[name].file == str(tmp_path / f"mf_{name}.py")
    assert found["gone"].reason.startswith("cannot be imported (ModuleNotFoundError: No module named 'mf_gone')")
    assert found["gone"].file == ""
    place = ("loss", "good", "mf_sound:Good", "mf-sound", "1.0", str(tmp_path / "mf_sound.py"))
    assert found["good"] == Provenance(*place, "available", "", "Says nothing.")
    assert found["contrastive"].status == "available"
    assert "mf_sound" not in sys.modules


def test_two_packages_with_one_name_are_both_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package, source in (("mf-first", GOOD), ("mf-other", GOOD), ("mf-six", "raise ValueError")):
        module = package.replace("-", "_")
        install(tmp_path, package, {module: source}, {LOSSES: {"twin": f"{module}:Good"}}, version="2.1")
    installing(monkeypatch, tmp_path)
    found = {component.distribution: component for component in losses(monkeypatch) if component.name == "twin"}
    assert found["mf-first"].status == found["mf-other"].status == "ambiguous"
    assert found["mf-first"].reason == 'brought by mf-other 2.1 and mf-six 2.1 too. In a recipe write "mf-first:twin".'
    assert found["mf-other"].summary == "Says nothing."
    assert found["mf-six"].status == "BROKEN"


def test_an_import_that_does_not_end_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import sys, time; time.sleep(60)"
    install(tmp_path, "mf-waits", {"mf_waits": source}, {LOSSES: {"waits": "mf_waits:Thing"}})
    installing(monkeypatch, tmp_path)
    monkeypatch.setattr(provenance, "_SECONDS", 0.5)
    waits = next(component for component in losses(monkeypatch) if component.name == "waits")
    assert waits.reason == "importing it takes more than 0.5 s. Fix or uninstall mf-waits."


@pytest.mark.parametrize("kind", KINDS)
def test_reading_our_own_gives_what_loading_them_gives(kind: str) -> None:
    registry = installed_registries()[kind]
    own = [entry for entry in registry.entries() if entry.distribution == "metricface"]
    for found in map(provenance.describe, own):
        component = registry.load(f"metricface:{found.name}")
        assert (found.status, found.reason) == ("available", "")
        assert found.file == inspect.getsourcefile(component)
        assert found.summary == (inspect.getdoc(component) or "").splitlines()[0]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("class Thing(", "mf_own.sub cannot be read (SyntaxError: "),
        ("x = 1", "sub.py defines no Thing. Install metricface again."),
        (None, "there is no module mf_own.sub. Install metricface again."),
    ],
)
def test_our_own_are_broken_where_their_text_shows_it(
    source: str | None, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mf_own").mkdir()
    (tmp_path / "mf_own" / "__init__.py").write_text("raise AssertionError('imported')")
    if source is not None:
        (tmp_path / "mf_own" / "sub.py").write_text(source)
    installing(monkeypatch, tmp_path)
    entry = provenance.Entry("loss", "thing", "mf_own.sub:Thing", "metricface", "0.1.0")
    found = provenance.describe(entry)
    assert found.status == "BROKEN"
    assert reason in found.reason


def test_what_loaded_is_loaded_again_only_after_a_change_and_what_is_broken_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "mf-sound", {"mf_sound": GOOD}, {LOSSES: {"good": "mf_sound:Good"}})
    install(tmp_path, "mf-raises", {"mf_raises": "raise ValueError"}, {LOSSES: {"bad": "mf_raises:Bad"}})
    installing(monkeypatch, tmp_path)
    asked: list[list[str]] = []

    def counted(names: list[str], whole: Callable[[list[str]], tuple[list[str], str]] = provenance._in_a_process):
        asked.append(names)
        return whole(names)

    monkeypatch.setattr(provenance, "_in_a_process", counted)
    first = losses(monkeypatch)
    assert asked == [["loss mf-raises:bad", "loss mf-sound:good"]]
    assert losses(monkeypatch) == first
    assert asked[1:] == [["loss mf-raises:bad"]]
    (tmp_path / "mf_sound.py").write_text("import not_there_at_all\n")
    loaded_before._files.cache_clear()  # as in a new process
    changed = {component.name: component.status for component in losses(monkeypatch)}
    assert asked[2] == ["loss mf-raises:bad", "loss mf-sound:good"]
    assert changed["good"] == "BROKEN"


def test_a_package_that_comes_or_goes_has_every_component_loaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "mf-sound", {"mf_sound": GOOD}, {LOSSES: {"good": "mf_sound:Good"}})
    installing(monkeypatch, tmp_path)
    (entry,) = [entry for entry in installed_registries()["loss"].entries() if entry.distribution == "mf-sound"]
    loaded_before.remember_loaded({entry: loaded_before.LoadCheck(summary="Says nothing.")})
    assert loaded_before.loaded_before([entry]) == {entry: loaded_before.LoadCheck(summary="Says nothing.")}
    install(tmp_path, "mf-new", {"mf_new": ""}, {})
    loaded_before._installed.cache_clear()  # as in a new process
    assert loaded_before.loaded_before([entry]) == {}
