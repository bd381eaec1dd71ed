"""An exception out of a component of another package, as one line that names it: the boundary of every command."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from metricface.components.places import place_in, text_of
from metricface.components.registry import LOADED, Entry, Factory, Registries, installed_registries
from metricface.contracts.returned import WrongReturnError
from metricface.errors import PluginError

_OWN = "metricface"
_PLACE = re.compile(r' \(File "[^"]+", line \d+\)')


def blamed(error: Exception | SystemExit, registries: Registries | None = None) -> PluginError | None:
    """Return what to say of an exception that a component raised, or that what it returned led to.

    The innermost line of a component's own package is to blame, also where torch raised below it and where it ran in a
    process of the loader. Where no such line is found, the components of other packages that are in use are named.

    Args:
        error: no MetricFaceError; those say themselves what is wrong.
        registries: kind -> registry; None looks at the installed packages.

    Returns:
        None: no component of another package is loaded, so that the fault is ours.
    """
    loaded = list(_loaded(installed_registries() if registries is None else registries))
    places = [(entry, component, place_in(error, component)) for entry, component in loaded]
    notes = "".join(f" {note}" for note in getattr(error, "__notes__", ()))
    owners = [(entry, component, place) for entry, component, place in places if place]
    if owners:
        entry, _, place = min(owners, key=lambda owner: not _holds(owner[1], owner[2]))
        who = f"{entry.kind} {entry.name!r} of {entry.distribution} {entry.version}"
        return PluginError(f"{who}: {_said(error)}, at {place}. Check it: {_check(entry)}.{notes}")
    if not loaded:
        return None
    checks = "; ".join(_check(entry) for entry, _ in loaded)
    return PluginError(f"{_said(error)}. Components of other packages are in use, check them: {checks}.{notes}")


def _loaded(registries: Registries) -> Iterator[tuple[Entry, Factory]]:
    """Yield the components of other packages that were asked for."""
    for registry in registries.values():
        for entry in registry.entries():
            component = LOADED.get((entry.kind, entry.value))
            if entry.distribution != _OWN and component is not None:
                yield entry, component


def _holds(component: Factory, place: str) -> bool:
    """Whether a place lies in the definition of a component; its package may bring several."""
    file, _, line = place.rpartition(":")
    try:
        source, first = inspect.getsourcelines(component)
        return inspect.getsourcefile(component) == file and first <= int(line) < first + len(source)
    except (OSError, TypeError):
        return False


def _said(error: Exception | SystemExit) -> str:
    """Return an exception on one line; of one from another process, which brings its traceback, the last line."""
    lines = [line.strip() for line in text_of(error).splitlines() if line.strip()]
    if lines and lines[0].startswith("Caught "):
        return _PLACE.sub("", lines[-1]).rstrip(".").removeprefix("metricface.contracts.returned.WrongReturnError: ")
    said = _PLACE.sub("", " ".join(lines)).rstrip(".")
    return said if isinstance(error, WrongReturnError) else f"{type(error).__name__}: {said}".rstrip(": ")


def _check(entry: Entry) -> str:
    return f"metricface plugin check {entry.kind} {entry.name}"
