"""Collecting every problem of a recipe, each with its place."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from metricface.errors import PluginError, RecipeError, nearest
from metricface.recipe.naming import key_name
from metricface.recipe.toml_lines import KeyPath


class Problems:
    """Problems of one recipe, as `file:line  key  what is wrong`.

    Args:
        file: the recipe as the user named it.
        places: path -> `file:line` that says it.
        table: the parsed recipe; an element of an array is called by the name that stands there.

    Attributes:
        warnings: what does not keep a recipe from being used, in the same form.
    """

    def __init__(self, file: str, places: Mapping[KeyPath, str], table: Mapping[str, Any]) -> None:
        self._file, self._places, self._table = file, places, table
        self._overridden: dict[KeyPath, str] = {}
        self._recipe: list[str] = []
        self._plugins: list[str] = []
        self.warnings: list[str] = []

    def override(self, path: KeyPath, text: str) -> None:
        """From now on the value at `path` stands in the option `text`, not in the file."""
        self._overridden[path] = text

    def add(self, path: KeyPath, message: str, *, key: str = "") -> None:
        """Add a problem of the value at `path`; `key` is what to call it, by default the path itself."""
        self._recipe.append(f"{self._where(path)}  {key or self._shown(path)}  {message}")

    def warn(self, path: KeyPath, message: str) -> None:
        """Add what the user should know of the value at `path`; the recipe is good all the same."""
        self.warnings.append(f"{self._where(path)}  {self._shown(path)}  {message}")

    def add_plugin(self, path: KeyPath, error: PluginError) -> None:
        """Add a component that is there but broken."""
        self._plugins.append(f"{self._where(path)}  {self._shown(path)}  {error}")

    def add_invalid(
        self, path: KeyPath, error: ValidationError, allowed: Iterable[str], *, told: Container[str] = ()
    ) -> None:
        """Add what pydantic found in the table at `path`, whose keys may be `allowed`; `told` were added before."""
        names = list(allowed)
        messages: dict[Any, list[str]] = {}
        for found in error.errors():
            key = found["loc"][0] if found["loc"] else ""
            if str(key) in told:
                continue
            messages.setdefault(key, []).append(_sentence(found, str(key), names))
        for key, parts in messages.items():
            self.add((*path, key) if key else path, " or ".join(dict.fromkeys(parts)))

    def refuse(self) -> None:
        """Raise all problems at once, if there are any.

        Raises:
            RecipeError: all of them. PluginError: when broken plugins are the only ones.
        """
        if self._recipe:
            raise RecipeError(*self._recipe, *self._plugins)
        if self._plugins:
            raise PluginError("\n".join(self._plugins))

    def _where(self, path: KeyPath) -> str:
        """Return `file:line` of the path, or of the nearest thing around it."""
        while path:
            if path in self._overridden:
                return f"--set {self._overridden[path]}"
            if path in self._places:
                return self._places[path]
            path = path[:-1]
        return self._file

    def _shown(self, path: KeyPath) -> str:
        return key_name(self._table, path)


def unknown_key(key: str, names: list[str]) -> str:
    """Return the message for a key that nothing takes."""
    return f"unknown key.{nearest(key, names)} Parameters: {', '.join(names) or 'none'}"


def _sentence(found: Mapping[str, Any], key: str, names: list[str]) -> str:
    """Return one of pydantic's findings in plain words."""
    if found["type"] == "extra_forbidden":
        return unknown_key(key, names)
    if found["type"] == "missing":
        return f"is missing. Parameters: {', '.join(names)}"
    if found["type"] == "value_error":
        return f"{found['ctx']['error']} (got {found['input']!r})"
    message = (
        found["msg"].replace("Input should be", "must be").replace("a valid ", "a ").replace("a integer", "an integer")
    )
    message = message.replace("must be a string", "must be text in quotes").replace("be an object", "be a table")
    got = found["input"]
    shown = f"{got!r}" if not isinstance(got, bool) else str(got).lower()
    return f"{message} (got {shown})" + _in_radians(found)


def _in_radians(found: Mapping[str, Any]) -> str:
    """Return a hint where a number above pi / 2 stands for an angle."""
    if found.get("ctx", {}).get("le") not in (math.pi / 2, math.pi):
        return ""
    return f". Angles are in radians: {found['input']} degrees are {math.radians(found['input']):.4g}"
