"""Which line each key of a TOML file stands on; tomllib does not tell."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

KeyPath = tuple[str | int, ...]


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return path -> line (from 1) of every header and key of a valid TOML text.

    Elements of an array of tables stand under their number: ("loss", 1, "weight"). A table stands where it is first
    named: `[a.b]` is a line of "a" too.
    """
    rows = text.replace("\r\n", "\n").split("\n")  # splitlines() ends lines where TOML does not, at U+2028
    found: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}
    prefix: KeyPath = ()
    number = 0
    while number < len(rows):
        first = number
        statement = rows[number]
        while (table := _parsed(statement)) is None and number + 1 < len(rows):
            number += 1  # a value that goes on over several lines
            statement += "\n" + rows[number]
        number += 1
        if rows[first].lstrip().startswith("["):
            prefix = _header(table or {}, counts)
            found[prefix] = first + 1
            for length in range(1, len(prefix)):
                found.setdefault(prefix[:length], first + 1)  # [a.b] may be all that there is of [a]
        else:
            for path in _paths(table or {}):
                found.setdefault((*prefix, *path), first + 1)
    return found


def _parsed(statement: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(statement)
    except tomllib.TOMLDecodeError:
        return None


def _header(table: Mapping[str, Any], counts: dict[KeyPath, int]) -> KeyPath:
    """Return the path of [a.b] or [[a.b]]; the latter ends with the element's number."""
    path: KeyPath = ()
    value: Any = table
    while isinstance(value, dict) and value:
        ((key, value),) = value.items()
        path = (*path, key)
        if path in counts and isinstance(value, dict):
            path = (*path, counts[path] - 1)  # a table inside the newest element
    if isinstance(value, list):
        counts[path] = counts.get(path, 0) + 1
        path = (*path, counts[path] - 1)
    return path


def _paths(table: Mapping[str, Any]) -> Iterator[KeyPath]:
    for key, value in table.items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, *rest) for rest in _paths(value))
