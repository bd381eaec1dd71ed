"""Checks, what became of them, and the error that lists those which failed. Imports nothing heavy."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from metricface.components.registry import Factory
from metricface.contracts import Kind
from metricface.errors import PluginError
from metricface.testing.faults import Fault, fault_of

Status = Literal["passed", "failed", "exempt", "skipped"]
Prepared = TypeVar("Prepared")


class ConformanceError(PluginError, AssertionError):
    """A component does not do what the engine relies on: a line for every failed check."""


class Violation(Exception):  # noqa: N818 - it is an outcome of a check, and the engine's alone to catch
    """A check does not hold; the text is the smallest case that shows it, and what came of it."""


class Skip(Exception):  # noqa: N818 - likewise
    """A check says nothing about this component; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Check(Generic[Prepared]):
    """One promise of a component.

    Args:
        name: what exemptions and messages call it.
        asserts: what must hold, as a sentence.
        why: what goes wrong where it does not.
        run: raises Violation where it does not hold.
    """

    name: str
    asserts: str
    why: str
    run: Callable[[Prepared], object]


def check(name: str, *, why: str) -> Callable[[Callable[[Prepared], object]], Check[Prepared]]:
    """Make a check of a function, whose docstring says what must hold."""

    def made(run: Callable[[Prepared], object]) -> Check[Prepared]:
        return Check(name, " ".join((inspect.getdoc(run) or "").split()), why, run)

    return made


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What became of one check.

    Args:
        name, asserts, why: of the check.
        status: "exempt" when the component declared it, "skipped" when the check says nothing about it.
        said: the smallest case that failed, or the reason why the check was not run.
        fault: of an exception of the component's own, what tells it from others; "" where there was none.
    """

    name: str
    asserts: str
    why: str
    status: Status
    said: str = ""
    fault: str = ""

    @property
    def explained(self) -> str:
        """What was found, and of a failed check also what must hold and why."""
        return f"{self.said}. Wanted: {self.asserts} {self.why}" if self.status == "failed" else self.said


@dataclass(frozen=True, slots=True)
class Trial:
    """A component with what a recipe sets.

    Args:
        kind, component: what is checked.
        arguments: of a recipe, checked.
        root: a folder of photos for a dataset, or None.
    """

    kind: Kind
    component: Factory
    arguments: Mapping[str, Any]
    root: Path | None = None

    def make(self, offered: Mapping[str, Any]) -> Any:
        """Make the component as build does: the arguments, and whatever of `offered` its signature asks for."""
        asked = inspect.signature(self.component).parameters
        given = {name: value for name, value in offered.items() if name in asked}
        return self.component(**{**self.arguments, **given})

    def asks_for(self, name: str) -> bool:
        """Whether the signature has a parameter of this name."""
        return name in inspect.signature(self.component).parameters


@dataclass(frozen=True, slots=True)
class Suite(Generic[Prepared]):
    """The checks of one kind.

    Args:
        prepare: makes what the checks look at; refuses a component that cannot be made.
        checks: in the order in which they are reported.
    """

    prepare: Callable[[Trial], Prepared]
    checks: tuple[Check[Prepared], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What became of all checks of a component; `name` is what to call it, for instance "loss CosineGap"."""

    name: str
    outcomes: tuple[CheckResult, ...]

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.status == "failed")

    def rows(self) -> list[tuple[str, Status, str]]:
        """Return (check, status, what was found) in order; checks that fail by one fault are one row, the first."""
        alike: dict[str, list[str]] = {}
        for it in self.failed:
            alike.setdefault(it.fault or it.name, []).append(it.name)
        found: list[tuple[str, Status, str]] = []
        for it in self.outcomes:
            names = alike.get(it.fault or it.name, []) if it.status == "failed" else []
            if len(names) > 1 and it.name == names[0]:
                found.append((it.name, it.status, f"{it.said}. {len(names)} checks fail by it: {', '.join(names)}."))
            elif len(names) < 2:
                found.append((it.name, it.status, it.explained))
        return found

    def refuse(self) -> None:
        """Raise what failed, if anything did.

        Raises:
            ConformanceError: a line for each failed check, or for several that fail by one fault.
        """
        if self.failed:
            lines = [f"{name}: {explained}" for name, status, explained in self.rows() if status == "failed"]
            found = f"{self.name}: {len(self.failed)} of {len(self.outcomes)} checks failed"
            raise ConformanceError("\n".join([found, *lines]))


def outcome(tried: Check[Prepared], subject: Prepared, exempt: Mapping[str, str], component: Factory) -> CheckResult:
    """Run a check, unless the component is exempt from it; an exception of the component's own is a failure too.

    Args:
        tried: the check.
        subject: what it looks at.
        exempt: name of a check -> why it is not run.
        component: whose code is looked for where an exception comes from.
    """

    def became(status: Status, said: str = "", fault: Fault | None = None) -> CheckResult:
        return CheckResult(tried.name, tried.asserts, tried.why, status, said, "" if fault is None else fault.key)

    if tried.name in exempt:
        return became("exempt", exempt[tried.name])
    try:
        tried.run(subject)
    except Violation as found:
        if found.__cause__ is None:
            return became("failed", str(found))
        fault = fault_of(found.__cause__, component)
        return became("failed", f"{found}, at {fault.place}" if fault.place else str(found), fault)
    except Skip as reason:
        return became("skipped", str(reason))
    except (Exception, SystemExit) as error:
        fault = fault_of(error, component)
        return became("failed", fault.shown, fault)
    return became("passed")
