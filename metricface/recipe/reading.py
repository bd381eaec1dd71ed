"""From a recipe's file to its table and the line of each key, or to what is wrong with the file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metricface.errors import RecipeError, nearest
from metricface.recipe.toml_lines import KeyPath, key_lines


def read_table(path: Path) -> tuple[dict[str, Any], Mapping[KeyPath, int]]:
    """Return what stands in a recipe, and the line of every key.

    Raises:
        RecipeError: there is no such file, or it is no TOML.
    """
    text = _read(path)
    try:
        return tomllib.loads(text), key_lines(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(_syntax_error(path, text, error)) from error


def _read(path: Path) -> str:
    """Return the recipe's text, or say what is wrong with the file."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    except IsADirectoryError as error:
        raise RecipeError(f"{path}: a folder, not a recipe.{_recipes(path)}") from error
    except FileNotFoundError as error:
        near = nearest(path.name, (other.name for other in path.parent.glob("*.toml")))
        raise RecipeError(f"{path}: no such recipe.{near}{_recipes(path.parent)}") from error
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror}).") from error


def _recipes(folder: Path) -> str:
    names = sorted(path.name for path in folder.glob("*.toml"))
    return f" Recipes in {folder}: {', '.join(names)}" if names else ""


def _syntax_error(path: Path, text: str, error: tomllib.TOMLDecodeError) -> str:
    """Return `file:line  what` from tomllib's message, which ends with the place."""
    message, _, place = str(error).partition(" (at ")
    line = place.split(",")[0].removeprefix("line ").rstrip(")")
    number = line if line.isdigit() else str(len(text.splitlines()))
    return f"{path}:{number}  not TOML: {message}. Text stands in quotes, keys in key = value."
