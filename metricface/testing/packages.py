"""A plugin in a folder, installed or not: what its pyproject.toml announces, imported from there."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from metricface.components.registry import Registries, Registry
from metricface.contracts import KINDS
from metricface.errors import PluginError, UsageError, nearest

_OURS = "metricface."
_FILE = "pyproject.toml"


class _InFolder(Distribution):
    """A package as its pyproject.toml describes it, so that errors name it as if it were installed."""

    def __init__(self, folder: Path, name: str, version: str, groups: Mapping[str, Mapping[str, str]]) -> None:
        points = "".join(
            f"[{group}]\n" + "".join(f"{point} = {value}\n" for point, value in found.items())
            for group, found in groups.items()
        )
        self._folder = folder
        self._texts = {"METADATA": f"Name: {name}\nVersion: {version}\n", "entry_points.txt": points}

    def read_text(self, filename: str) -> str | None:
        return self._texts.get(filename)

    def locate_file(self, path: Any) -> Any:
        return self._folder / path


@dataclass(frozen=True, slots=True)
class Package:
    """A plugin in a folder.

    Args:
        name, version: of its pyproject.toml.
        folder: where that lies.
        registries: its own components and no others, for each kind that it has.
        notices: what the user should know, a line each.
    """

    name: str
    version: str
    folder: Path
    registries: Registries
    notices: tuple[str, ...]

    @contextmanager
    def first_on_the_path(self) -> Iterator[None]:
        """Let imports find the folder's modules before any installed ones."""
        before = list(sys.path)
        sys.path[:0] = [str(folder) for folder in (self.folder / "src", self.folder) if folder.is_dir()]
        try:
            yield
        finally:
            sys.path[:] = before


def open_package(folder: Path) -> Package:
    """Read a plugin's pyproject.toml; nothing is imported.

    Raises:
        UsageError: the folder has none. PluginError: it cannot be read, or announces no component.
    """
    folder = folder.resolve()
    file = folder / _FILE
    if not file.is_file():
        raise UsageError(f"{folder}: no {_FILE} in it. Name the folder of a plugin's package, or a component.")
    project = _project(file)
    groups = {group: found for group, found in project["entry-points"].items() if group.startswith(_OURS)}
    known = {kind.group: kind for kind in KINDS.values()}
    for group in groups:
        if group not in known:
            raise PluginError(
                f"{file}: no kind has the entry-point group {group!r}.{nearest(group, known)} "
                f"Groups: {', '.join(known)}."
            )
    if not any(groups.values()):
        raise PluginError(
            f'{file}: announces no component. Add one, for instance [project.entry-points."metricface.losses"] with '
            'my-loss = "my_module:MyLoss".'
        )
    points = _InFolder(folder, project["name"], project["version"], groups).entry_points
    found = {known[group].name: Registry(known[group], points.select(group=group)) for group in groups}
    return Package(project["name"], project["version"], folder, found, _notices(project["name"], folder, groups))


def _project(file: Path) -> dict[str, Any]:
    """Return name, version and entry points of a pyproject.toml."""
    try:
        project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
        name = project["name"]
        groups = {group: dict(points) for group, points in project.get("entry-points", {}).items()}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PluginError(f"{file}: cannot be read ({error}). Fix it.") from error
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise PluginError(
            f"{file}: [project] needs a name, and entry points as tables ({type(error).__name__}: {error})."
        ) from error
    return {"name": str(name), "version": str(project.get("version", "?")), "entry-points": groups}


def _notices(name: str, folder: Path, groups: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """Return whether recipes would find what the folder announces."""
    try:
        installed = distribution(name)
    except PackageNotFoundError:
        return (
            f"{name} is not installed: it is imported from {folder}. Recipes find it after: pip install -e {folder}",
        )
    theirs = {(it.group, it.name, it.value) for it in installed.entry_points if it.group.startswith(_OURS)}
    ours = {(group, point, value) for group, found in groups.items() for point, value in found.items()}
    if theirs != ours:
        return (f"{name} {installed.version} is installed with other entry points. Run: pip install -e {folder}",)
    return ()
