"""The map of rooms: the level of each, and what its files import. The tests keep it, `make map` draws it."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "metricface"

# A module imports rooms of lower levels and its own room only.
LEVELS = {
    **dict.fromkeys(("errors", "files", "machine"), 0),
    "contracts": 1,
    **dict.fromkeys(("functional", "model"), 2),
    "data": 3,
    **dict.fromkeys(("training", "evaluation"), 4),
    "components": 5,
    "recipe": 6,
    **dict.fromkeys(("build", "testing"), 7),
    **dict.fromkeys(("runs", "deploy"), 8),
    "cli": 9,
    "__main__": 10,
}
FACES = {"files": {"errors"}, "machine": {"errors"}}  # loose files of level 0 that the others there may import


def files() -> list[Path]:
    """Return every file of the package, in one order everywhere."""
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    """Return the room that a file of the package is in; a loose file is one by itself."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Return the rooms that a file imports anywhere in it, type checking included.

    Raises:
        ValueError: the file has a relative import, which nobody could follow by name.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise ValueError(f"{path}:{node.lineno}: relative import. Write metricface.<room>.<file>.")
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "metricface":
            parts = (node.module or "").split(".")
            found.update([parts[1]] if len(parts) > 1 else [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            found.update(alias.name.split(".")[1] for alias in node.names if alias.name.startswith("metricface."))
    return found - {"__version__"}
