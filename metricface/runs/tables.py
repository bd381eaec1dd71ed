"""Reading the tables of a run, whole or damaged, with one wording for every damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


class Table(dict[str, Any]):
    """What a file of a run holds; empty where it is missing or cannot be read.

    Attributes:
        problem: what is wrong with it, "" where nothing is.
    """

    problem: str = ""


def read_table(path: Path, parse: Callable[[str], Any]) -> Table:
    """Return a file's table.

    Args:
        path: the file.
        parse: text -> what it says; ValueError where it says nothing.
    """
    try:
        found = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return without(f"{path.name} is missing")
    except (OSError, ValueError) as error:
        return unreadable(path, error)
    return Table(found) if isinstance(found, dict) else without(f"{path.name} is a {type(found).__name__}, not a table")


def unreadable(path: Path, error: Exception) -> Table:
    """Return the table of a file that cannot be read."""
    return without(f"{path.name} cannot be read ({' '.join(str(error).split())})")


def without(problem: str) -> Table:
    """Return an empty table with what is wrong."""
    table = Table()
    table.problem = problem
    return table
