"""Putting components through their checks by name, as `metricface plugin check` does."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from metricface.components.registry import Entry, Registries, Registry
from metricface.contracts import KINDS
from metricface.errors import PluginError, UsageError, nearest
from metricface.testing.engine import CheckResult, Report
from metricface.testing.examine import examine
from metricface.testing.general import CONTRACT
from metricface.testing.packages import Package, open_package

Chosen = tuple[Registry, str]


@dataclass(frozen=True, slots=True)
class Checked:
    """A component and what became of its checks."""

    entry: Entry
    report: Report

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        checks = [asdict(outcome) for outcome in self.report.outcomes]
        return {**asdict(self.entry), "passed": not self.report.failed, "checks": checks}


def find(words: Sequence[str], registries: Registries) -> tuple[list[Chosen], Package | None]:
    """Return the components that `[KIND] NAME|PATH` on a command line stands for, and the package of a PATH.

    Args:
        words: one or two: the name of a component, which every kind that has it answers to; a kind and a name; or the
            folder of a package. `package:name` picks one of two packages with one name.
        registries: the installed components.

    Raises:
        UsageError: there is no such kind, component or folder, or two packages bring it. PluginError: see open_package.
    """
    *kinds, name = words
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(f"plugin check: no kind {kind!r}.{nearest(kind, KINDS)} Kinds: {', '.join(KINDS)}")
    asked = [registries[kind] for kind in kinds] or list(registries.values())
    found = [(registry, name) for registry in asked if _has(registry, name)]
    if not found and not kinds and (Path(name).is_dir() or Path(name).name == "pyproject.toml"):
        package = open_package(Path(name).parent if Path(name).is_file() else Path(name))
        return [(own, it) for own in package.registries.values() for it in own.names()], package
    if kinds or found:
        try:
            for registry in asked if kinds else [own for own, _ in found]:
                registry.find(name)
        except PluginError as error:  # the name is the mistake here, and no plugin's
            raise UsageError(f"plugin check: {error}") from error
        return found, None
    names = sorted({it for registry in registries.values() for it in registry.names()})
    raise UsageError(
        f"plugin check: no component and no folder {name!r}.{nearest(name, names)} "
        "See metricface list, or name the folder of a plugin's package."
    )


def _has(registry: Registry, name: str) -> bool:
    package, _, short = name.rpartition(":")
    return any(it.name == short and package in ("", it.distribution) for it in registry.entries())


def check_all(
    choices: Sequence[Chosen], package: Package | None, arguments: Mapping[str, Any], root: Path | None = None
) -> list[Checked]:
    """Put components through every check; one that cannot be loaded fails the first of them.

    Args:
        choices: registry and name of each, see `find`.
        package: the one that they are imported from, see `find`; None for installed ones.
        arguments: what a recipe would set, for each of them.
        root: photos for datasets.

    Raises:
        RecipeError: the arguments are not those that a component takes.
    """
    with nullcontext() if package is None else package.first_on_the_path():
        return [_checked(registry, name, package, arguments, root) for registry, name in choices]


def _checked(
    registry: Registry, name: str, package: Package | None, arguments: Mapping[str, Any], root: Path | None
) -> Checked:
    entry = registry.find(name)
    called = f"{entry.kind} {entry.name}"
    try:
        component = registry.load(name)
        if package is not None:
            _refuse_others(entry, package)
    except PluginError as error:
        broken = CheckResult(CONTRACT.name, CONTRACT.asserts, CONTRACT.why, "failed", str(error).rstrip("."))
        return Checked(entry, Report(called, (broken,)))
    return Checked(entry, replace(examine(entry.kind, component, arguments, root=root), name=called))


def _refuse_others(entry: Entry, package: Package) -> None:
    """Refuse a module that was not found in the package's folder."""
    module = entry.value.partition(":")[0]
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None or not Path(file).resolve().is_relative_to(package.folder):
        raise PluginError(f"{entry.kind} {entry.name!r}: {module} is not in {package.folder} (imported from {file})")
