"""Components with one flaw each, and whether the kit finds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from metricface.testing.engine import ConformanceError
from metricface.testing.examine import examine, suite_of
from metricface.testing.general import CHECKS

GENERAL = {"contract", "arguments", "exemptions", "made", *(check.name for check in CHECKS)}
Flaws = Mapping[str, tuple[Callable[..., Any], str]]  # check -> a component that fails it, and what is said of it


def own_checks(kind: str) -> set[str]:
    """The names of the checks that a kind has for itself."""
    return {check.name for check in suite_of(kind).checks}


def assert_good(kind: str, component: Any, **more: Any) -> None:
    report = examine(kind, component, **more)
    assert {it.name: it.said for it in report.outcomes if it.status != "passed"} == {}
    assert {it.name for it in report.outcomes} == GENERAL | own_checks(kind)


def assert_found(kind: str, check: str, flaws: Flaws, **more: Any) -> None:
    """The check fails for the reason that it is for, and says it with what must hold and why."""
    component, said = flaws[check]
    report = examine(kind, component, **more)
    found = {it.name: it for it in report.failed}
    assert check in found, report
    assert said in found[check].said
    assert found[check].asserts
    assert found[check].why
    with pytest.raises(ConformanceError) as caught:
        report.refuse()
    assert f"\n{check}: {found[check].said}. Wanted: {found[check].asserts} {found[check].why}" in str(caught.value)


def exempt(component: type, **reasons: str) -> type:
    """Return the component with the exemptions; an underscore stands for a blank."""
    named = {name.replace("_", " "): reason for name, reason in reasons.items()}
    return type("Exempt", (component,), {"conformance_exempt": named, "__doc__": component.__doc__})
