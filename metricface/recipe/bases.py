"""A recipe that builds on another: `base = "task_b.toml"`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metricface.errors import RecipeError, nearest
from metricface.recipe.naming import element_names
from metricface.recipe.reading import read_table
from metricface.recipe.schema import DataSection, RunSection
from metricface.recipe.toml_lines import KeyPath

BASE, WITHOUT = "base", "without"
_DEEPEST = 20
_KEPT: Mapping[str, Collection[str]] = {"run": RunSection.model_fields, "data": DataSection.model_fields}


class _Elements(dict[str, Any]):
    """An array of tables by what `--set` calls its elements."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What recipes say: sections as tables or _Elements, and the `file:line` of each path; `gone` are taken out."""

    sections: dict[str, Any]
    places: Mapping[KeyPath, str]
    gone: Mapping[KeyPath, str] = field(default_factory=dict)


def read_recipe(path: Path) -> tuple[dict[str, Any], Mapping[KeyPath, str]]:
    """Return what a recipe says together with all that it builds on, and the `file:line` that said it of every key.

    A recipe says what differs from its base: keys change one by one, elements of an array by their name, a new one
    comes after the base's, and `without` takes out. A table that names another component begins anew, since the keys
    there are the other one's; the engine's own in [data] and [run] stay.

    Raises:
        RecipeError: a file cannot be read, is no TOML, or builds on itself; `base` or `without` names nothing.
    """
    said = _read(path, ())
    table = {name: list(part.values()) if isinstance(part, _Elements) else part for name, part in said.sections.items()}
    numbers: dict[KeyPath, KeyPath] = {
        (name, element): (name, number)
        for name, part in said.sections.items()
        if isinstance(part, _Elements)
        for number, element in enumerate(part)
    }
    places = {**said.gone, **said.places}
    return table, {(*numbers.get(key[:2], key[:2]), *key[2:]): place for key, place in places.items()}


def _read(path: Path, above: tuple[Path, ...]) -> _Said:
    """Return what a recipe says on top of its base; `above` are those that build on it."""
    table, lines = read_table(path)
    name, without = table.pop(BASE, None), table.pop(WITHOUT, None)
    own = _by_name(table, {key: f"{path}:{line}" for key, line in lines.items()})
    where = {key: f"{own.places.get((key,), path)}  {key}  " for key in (BASE, WITHOUT)}
    if name is None and without is None:
        return own
    if not isinstance(name, str) or not name or "://" in name or "\0" in name:
        said = WITHOUT if name is None else BASE
        raise RecipeError(f'{where[said]}needs a recipe to build on: base = "task_b.toml" (got {name!r})')
    file, there = _base_file(name, (*above, path), where[BASE])
    try:
        base = _read(file, (*above, path))
    except RecipeError as error:
        raise error if there else RecipeError(f"{where[BASE]}{error}") from error
    gone = dict(base.gone)
    for names in _names(without, where[WITHOUT]):
        _take_out(base.sections, names, where[WITHOUT])
        gone[tuple(names)] = own.places[WITHOUT,]
    sections = dict(base.sections)
    for section, value in own.sections.items():
        sections[section] = _over(sections.get(section), value, _KEPT.get(section, ()))
    known = set(_paths(sections))
    return _Said(sections, {key: place for key, place in {**base.places, **own.places}.items() if key in known}, gone)


def _base_file(name: str, line: tuple[Path, ...], where: str) -> tuple[Path, bool]:
    """Return the base of the last recipe in a line of them, and whether there is such a file."""
    try:
        file = line[-1].parent / Path(name).expanduser()
        circle, there = file.resolve() in {one.resolve() for one in line}, file.is_file()
    except (OSError, RuntimeError) as error:  # links in a circle, nobody's home, a name too long
        why = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise RecipeError(f'{where}cannot be looked for ({why}). Name a file beside this one: "task_b.toml"') from error
    if circle:
        raise RecipeError(f"{where}goes round in a circle: {' -> '.join(map(str, (*line, file)))}")
    if len(line) > _DEEPEST:
        raise RecipeError(f"{where}is one of more than {_DEEPEST} that {line[0]} builds on. Put some into one file.")
    return file, there


def _by_name(table: Mapping[str, Any], places: Mapping[KeyPath, str]) -> _Said:
    """Return a parsed recipe with the elements of its arrays by name; one without a name stands under its place."""
    sections, names = dict(table), dict[KeyPath, KeyPath]()
    for section, value in table.items():
        if isinstance(value, list) and value and all(isinstance(element, dict) for element in value):
            called = element_names(value)
            alone = [name if called.count(name) == 1 else None for name in called]
            keys = [name or f"{places[section,]}#{number}" for number, name in enumerate(alone)]
            sections[section] = _Elements(zip(keys, value, strict=True))
            names |= {(section, number): (section, key) for number, key in enumerate(keys)}
    return _Said(sections, {(*names.get(key[:2], key[:2]), *key[2:]): place for key, place in places.items()})


def _names(without: Any, where: str) -> Iterator[list[str]]:
    """Yield the keys of each name that `without` lists."""
    if without is None:
        return
    if not isinstance(without, list) or not all(isinstance(name, str) for name in without):
        raise RecipeError(f'{where}must be a list of names: without = ["head", "loss.triplet"] (got {without!r})')
    yield from (name.split(".") for name in without)


def _take_out(sections: dict[str, Any], keys: list[str], where: str) -> None:
    """Take a section, an element or a key out of what a base says."""
    table: Any = sections
    for depth, key in enumerate(keys, 1):
        if not isinstance(table, dict) or key not in table:
            there = [".".join((*keys[: depth - 1], name)) for name in table] if isinstance(table, dict) else []
            name = ".".join(keys[:depth])
            raise RecipeError(
                f"{where}{name!r} is not in the base.{nearest(name, there)} There are: {', '.join(there) or 'none'}"
            )
        if depth == len(keys):
            del table[key]
        else:
            table = table[key]


def _over(before: Any, value: Any, kept: Collection[str] = ()) -> Any:
    """Return a value said over another: a table's keys one by one; of another component's, none but `kept` stay."""
    if not isinstance(before, dict) or type(value) is not type(before):
        return value
    same = isinstance(before, _Elements) or value.get("name", before.get("name")) == before.get("name")
    table = type(before)({key: old for key, old in before.items() if same or key in kept})
    for key, new in value.items():
        table[key] = _over(table.get(key), new)
    return table


def _paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of everything in a table."""
    yield path
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _paths(below, (*path, key))
