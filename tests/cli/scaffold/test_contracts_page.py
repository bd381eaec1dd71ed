from __future__ import annotations

import functools
import inspect

import pytest
from support import ROOT

from metricface import contracts
from metricface.cli.scaffold.contracts_page import OFFERED, contracts_page
from metricface.contracts import KINDS

PLUGINS = ROOT / "plugins"


def test_the_page_in_plugins_is_that_of_the_code() -> None:
    written = (PLUGINS / "README.md").read_text(encoding="utf-8")
    assert written == page(), "run: make plugins/README.md"


@functools.cache
def page() -> str:
    return contracts_page()


def section(kind: str) -> str:
    return page().partition(f"\n## {kind}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_group_its_methods_what_is_filled_in_and_its_protocol(kind: str) -> None:
    text = section(kind)
    assert f"`metricface.{KINDS[kind].plural}`" in text
    for name in (*KINDS[kind].methods, *KINDS[kind].offered):
        assert f"`{name}`" in text
    assert text.count("\n  - ") == len(KINDS[kind].offered)
    protocol = getattr(contracts, kind.capitalize())
    assert inspect.getsource(protocol).strip() in text


def test_everything_that_build_offers_is_explained_and_nothing_else() -> None:
    assert set(OFFERED) == {name for kind in KINDS.values() for name in kind.offered}


@pytest.mark.parametrize("kind", ["backbone", "dataset", "distortion", "head", "loss", "sampler"])
def test_the_checks_of_a_kind_are_listed(kind: str) -> None:
    assert section(kind).partition("Checked:")[2].count("\n- ") >= 3


def test_every_plugin_here_is_named() -> None:
    for path in PLUGINS.glob("*/pyproject.toml"):
        assert f"`{path.parent.name}`" in page()
