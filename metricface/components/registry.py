"""Finding components among entry points. Imports neither torch nor numpy, and no component before it is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_type_hints

from metricface.contracts import KINDS, Kind
from metricface.errors import PluginError, nearest

Factory = Callable[..., Any]

LOADED: dict[tuple[str, str], Factory] = {}
"""(kind, "module:object") -> every component that this process has asked for, whatever else their modules bring."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One component as its package announces it.

    Args:
        kind, name: as on the command line and in recipes.
        value: "module:object".
        distribution, version: of the package that brings it.
        status: "available", or "ambiguous" when two packages use the name.
    """

    kind: str
    name: str
    value: str
    distribution: str
    version: str
    status: str = "available"


class Registry:
    """The components of one kind. A broken one hurts nobody until it is loaded.

    Args:
        kind: one of KINDS.
        points: entry points of its group; None reads the installed packages, now and not at import.
    """

    def __init__(self, kind: Kind, points: Iterable[EntryPoint] | None = None) -> None:
        self.kind = kind
        found = entry_points(group=kind.group) if points is None else points
        self._points: dict[str, list[EntryPoint]] = {}
        for point in sorted(found, key=lambda point: (point.name, _distribution(point)[0])):
            self._points.setdefault(point.name, []).append(point)

    def names(self) -> tuple[str, ...]:
        """Return all names, sorted; nothing is imported."""
        return tuple(self._points)

    def entries(self) -> list[Entry]:
        """Return every component of every package; nothing is imported."""
        return [self._entry(point, len(points) > 1) for points in self._points.values() for point in points]

    def find(self, name: str) -> Entry:
        """Return what is known of a component without importing it. `package:name` picks one of two with one name.

        Raises:
            PluginError: unknown (with the nearest name and all names), or brought by two packages (names both).
        """
        return self._entry(self._point(name), ambiguous=False)

    def load(self, name: str) -> Factory:
        """Import a component and check it against the contract of its kind.

        Raises:
            PluginError: unknown, ambiguous, not importable, or not keeping the contract; names the package.
        """
        point = self._point(name)
        package = " ".join(_distribution(point))
        where = f"{self.kind.name} {point.name!r} ({point.value} of {package})"
        try:
            component = point.load()
        except MemoryError:  # no fault of the package's
            raise
        except (Exception, SystemExit) as error:
            reason = (
                f"cannot be imported ({type(error).__name__}: {_one_line(error)}). "
                f"Fix or uninstall {_distribution(point)[0]}."
            )
            raise PluginError(f"{where}: {reason}", reason) from error
        LOADED[self.kind.name, point.value] = component
        broken = broken_contract(component, self.kind)
        if broken is not None:
            reason = f"{_definition(component)}{broken}."
            raise PluginError(f"{where}: {reason}", reason)
        return component  # type: ignore[no-any-return]

    def _point(self, name: str) -> EntryPoint:
        package, _, short = name.rpartition(":")
        points = self._points.get(short, [])
        if package:
            points = [point for point in points if _distribution(point)[0] == package]
        if not points:
            raise PluginError(unknown_name(self.kind.name, name, self.names()))
        if len(points) > 1:
            both = " and ".join(" ".join(_distribution(point)) for point in points)
            choices = " or ".join(f'"{_distribution(point)[0]}:{short}"' for point in points)
            raise PluginError(f"{self.kind.name} {short!r}: brought by both {both}. Write {choices}.")
        return points[0]

    def _entry(self, point: EntryPoint, ambiguous: bool) -> Entry:
        distribution, version = _distribution(point)
        status = "ambiguous" if ambiguous else "available"
        return Entry(self.kind.name, point.name, point.value, distribution, version, status)


def installed_registries() -> dict[str, Registry]:
    """Return a registry of every kind; the installed packages are looked through once."""
    found = entry_points()
    return {name: Registry(kind, found.select(group=kind.group)) for name, kind in KINDS.items()}


def unknown_name(kind: str, name: str, names: Iterable[str]) -> str:
    """Return the message for a name that no package brings."""
    known = list(names)
    listed = ", ".join(known) or "none is installed"
    return (
        f"unknown {kind} {name!r}.{nearest(name, known)} There are: {listed}. "
        "If you just added it, run pip install -e . again."
    )


def broken_contract(component: Any, kind: Kind) -> str | None:
    """Return why a component does not keep its kind's contract, or None.

    It must be callable, have the kind's methods, and take keyword-only, annotated parameters; `**kwargs` would
    swallow a recipe's misspelt keys. A factory function is judged by its return annotation where that is a class.
    """
    if not callable(component):
        return f"it is a {type(component).__name__}, not a class or function"
    try:
        hints = get_type_hints(component.__init__ if inspect.isclass(component) else component)
        parameters = inspect.signature(component).parameters.values()
    except (NameError, TypeError, ValueError, AttributeError) as error:
        return f"its annotations cannot be read at run time ({_one_line(error)})"
    made = component if inspect.isclass(component) else hints.get("return")
    made = None if made is Any else made
    missing = [] if not inspect.isclass(made) else [method for method in kind.methods if not _has(made, method)]
    if missing:
        return f"it has no {' and no '.join(missing)}, which every {kind.name} needs"
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            return f"it takes {parameter}, which would swallow misspelt keys; name every parameter"
        if parameter.kind is not parameter.KEYWORD_ONLY:
            return f"parameter {parameter.name!r} is not keyword-only; put a * before it"
        if parameter.annotation is parameter.empty:
            return f"parameter {parameter.name!r} has no annotation"
    return None


def _has(made: type, method: str) -> bool:
    """Whether a class has a method. Looks through its bases, since `getattr` also finds those of `type`.

    A torch module is called through its `forward`; the one that nn.Module brings only raises.
    """
    inherited = {name: value for base in reversed(made.__mro__) for name, value in vars(base).items()}
    if method == "__call__" and "forward" in inherited:
        method = "forward"
    found = inherited.get(method)
    return callable(found) and getattr(found, "__name__", "") != "_forward_unimplemented"


def _distribution(point: EntryPoint) -> tuple[str, str]:
    """Return name and version of the package that an entry point came with."""
    return (point.dist.name, point.dist.version) if point.dist is not None else ("unknown package", "?")


def _definition(component: Any) -> str:
    """Return "file:line " of a component's definition where Python can tell."""
    try:
        return f"{inspect.getsourcefile(component)}:{inspect.getsourcelines(component)[1]} "
    except (OSError, TypeError):
        return ""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or "no message"


Registries = Mapping[str, Registry]
