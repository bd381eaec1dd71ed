"""From a TOML file to a checked Recipe, or to all of its problems at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from inspect import signature
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from metricface.components.registry import Registries, installed_registries
from metricface.contracts import CHOSEN, KINDS, Kind
from metricface.errors import PluginError, nearest
from metricface.model.embedding_layer import EmbeddingSection
from metricface.recipe.bases import BASE, WITHOUT, read_recipe
from metricface.recipe.checking import FILLED_IN, checked_table
from metricface.recipe.lint import check_selection, lint
from metricface.recipe.overrides import apply_overrides
from metricface.recipe.photo_size import with_usual_size
from metricface.recipe.problems import Problems
from metricface.recipe.refusals import refusals_of
from metricface.recipe.schema import (
    ComponentSpec,
    DataSection,
    Recipe,
    RunSection,
    Section,
    TrainSection,
)
from metricface.recipe.signature import arguments_model, signature_model, takes_distortions

_EMBEDDING = signature_model("embedding", signature(EmbeddingSection, eval_str=True))
_PLAIN: dict[str, type[BaseModel]] = {"run": RunSection, "embedding": _EMBEDDING, "train": TrainSection}
_BY_SECTION: dict[str, Kind] = {kind.section: kind for kind in KINDS.values() if kind.section}
_REPEATS = {
    **dict.fromkeys(("run", "data", "embedding", "train"), False),
    **{section: kind.repeats for section, kind in _BY_SECTION.items()},
}
_REQUIRED = ("run", "data", "backbone", "loss", "sampler", "optimizer", "train")


def load_recipe(
    path: str | PathLike[str], overrides: Sequence[str] = (), registries: Registries | None = None
) -> Recipe:
    """Read, override and check a recipe.

    Args:
        path: a TOML file.
        overrides: "key=value" each, as `--set` takes them.
        registries: kind -> registry; None looks at the installed packages.

    Raises:
        RecipeError: everything that is wrong, one line each: `file:line  key  what. Did you mean ...? Parameters: ...`.
        PluginError: the recipe is right, but a component that it names is broken.
    """
    registries = installed_registries() if registries is None else registries
    path = Path(path)
    table, places = read_recipe(path)
    problems = Problems(str(path), places, table)
    apply_overrides(table, overrides, _REPEATS, problems)
    recipe = _Reader(table, registries, problems).recipe(path)
    if recipe is not None:
        lint(recipe, registries, problems)
    problems.refuse()
    assert recipe is not None  # refuse() has raised otherwise
    return replace(recipe, notices=tuple(problems.warnings))


class _Reader:
    """Reads the sections of one table; what it cannot read becomes a problem."""

    def __init__(self, table: dict[str, Any], registries: Registries, problems: Problems) -> None:
        self._table, self._registries, self._problems = table, registries, problems
        self._complete = True

    def recipe(self, path: Path) -> Recipe | None:
        """Return the recipe, or None after problems."""
        self._check_sections()
        dataset, data = self._data()
        parts = {section: self._components(kind) for section, kind in _BY_SECTION.items() if section != "data"}
        plain: dict[str, Any] = {name: self._plain(name, model) for name, model in _PLAIN.items()}
        if plain["train"] is not None and len(parts["evaluate"]) == len(self._table.get("evaluate", ())):
            check_selection(plain["train"], parts["evaluate"], self._registries, self._problems)
        if self._complete and "image_size" not in self._table["data"]:
            data = with_usual_size(data, parts["backbone"][0], self._registries, self._problems)
            self._complete = data is not None
        if not self._complete:
            return None
        # The required ones are there: _check_sections saw to it.
        first: dict[str, Any] = {section: (found[0] if found else None) for section, found in parts.items()}
        embedding = plain.pop("embedding")
        return Recipe(
            path=path,
            data=data,
            dataset=dataset,
            transforms=parts["transform"],
            losses=parts["loss"],
            evaluators=parts["evaluate"],
            trackers=parts["tracker"],
            embedding=embedding and EmbeddingSection(**embedding),
            **{name: first[name] for name in ("backbone", "head", "miner", "sampler", "optimizer", "schedule")},
            **plain,
        )

    def _problem(self, path: tuple[str | int, ...], message: str, key: str = "") -> None:
        self._complete = False
        self._problems.add(path, message, key=key)

    def _check_sections(self) -> None:
        """Refuse unknown, missing and misshapen sections; those are taken out, so that the others can be read."""
        missing = [section for section in _REQUIRED if not self._table.get(section)]
        for section, value in list(self._table.items()):
            if section not in _REPEATS:
                listed = ", ".join(_REPEATS)
                self._problem(
                    (section,), f"unknown section.{nearest(section, (*_REPEATS, BASE, WITHOUT))} Sections: {listed}"
                )
            elif _REPEATS[section] and not _is_tables(value):
                self._problem((section,), f"may stand more than once: write [[{section}]]")
                del self._table[section]
            elif not _REPEATS[section] and not isinstance(value, dict):
                self._problem((section,), f"stands once: write [{section}]")
                del self._table[section]
        for section in missing:
            brackets = f"[[{section}]]" if _REPEATS[section] else f"[{section}]"
            self._problem((section,), "the section is missing", key=brackets)

    def _plain(self, section: str, model: type[BaseModel]) -> Any:
        """Return a section of the engine's own."""
        return self._validated((section,), model, self._table[section]) if section in self._table else None

    def _data(self) -> tuple[Any, Any]:
        """Return the dataset and the engine's own keys of [data]."""
        if "data" not in self._table:
            return None, None
        table = dict(self._table["data"])
        own = {key: table.pop(key) for key in list(table) if key in DataSection.model_fields}
        dataset = self._component(("data",), KINDS["dataset"], table, extra=tuple(DataSection.model_fields))
        return dataset, self._validated(("data",), DataSection, own)

    def _components(self, kind: Kind) -> tuple[ComponentSpec, ...]:
        section = kind.section or ""
        tables = self._table.get(section, [])
        if not kind.repeats:
            tables = [tables] if section in self._table else []
            found = [self._component((section,), kind, table) for table in tables]
        else:
            found = [self._component((section, number), kind, table) for number, table in enumerate(tables)]
        return tuple(part for part in found if part is not None)

    def _component(
        self, path: tuple[str | int, ...], kind: Kind, table: dict[str, Any], extra: tuple[str, ...] = ()
    ) -> ComponentSpec | None:
        """Return one component with checked arguments, or None after problems."""
        registry = self._registries[kind.name]
        arguments = {key: value for key, value in table.items() if key != "name"}
        weight = arguments.pop("weight", 1.0) if kind.name == "loss" else 1.0
        extra = ("weight", *extra) if kind.name == "loss" else extra
        if not _is_weight(weight):
            self._problem((*path, "weight"), f"must be a number of at least 0 (got {weight!r})")
        name = table.get("name")
        if not isinstance(name, str):
            self._problem((*path, "name"), f"is missing or no text. There are: {', '.join(registry.names())}")
            return None
        try:
            entry = registry.find(name)
        except PluginError as error:
            self._problem((*path, "name"), str(error))
            return None
        try:
            component = registry.load(name)
        except PluginError as error:
            self._complete = False
            self._problems.add_plugin((*path, "name"), error)
            return None
        for key in [key for key in arguments if key in kind.offered - CHOSEN]:
            self._problem((*path, key), FILLED_IN)
            del arguments[key]
        checked = self._validated(path, arguments_model(component, kind), arguments, extra=extra)
        if takes_distortions(component, kind.name):
            self._check_distortions(path, arguments.get("distortions"))
        if checked is None:
            return None
        self._choose_indexes(path, checked)
        spec = ComponentSpec(kind.name, name, checked, entry.distribution, entry.version, weight=weight)
        for place, message in refusals_of(component, spec, path, self._table):
            self._problem(place, message)
        return spec

    def _choose_indexes(self, path: tuple[str | int, ...], arguments: dict[str, Any]) -> None:
        """Check the indexes that a component is to be given, and write their defaults in."""
        if isinstance(asked := arguments.get("index"), dict):
            found = self._component((*path, "index"), KINDS["index"], asked)
            arguments["index"] = found and found.table()
        if isinstance(asked := arguments.get("indexes"), list):
            parts = [
                self._component((*path, "indexes", number), KINDS["index"], table) for number, table in enumerate(asked)
            ]
            arguments["indexes"] = [part.table() for part in parts if part is not None]

    def _check_distortions(self, path: tuple[str | int, ...], asked: Any) -> None:
        """Refuse names of distortions that nobody brings; whatever is no name was refused before."""
        names = self._registries["distortion"].names()
        for name in asked if isinstance(asked, list) else ():
            if isinstance(name, str) and name not in names:
                listed = ", ".join(names)
                self._problem(
                    (*path, "distortions"), f"unknown distortion {name!r}.{nearest(name, names)} There are: {listed}"
                )

    def _validated(
        self,
        path: tuple[str | int, ...],
        model: type[BaseModel],
        table: dict[str, Any],
        *,
        extra: tuple[str, ...] = (),
    ) -> Any:
        """Return the checked table, or None after problems; `extra` are names that the message lists too."""
        values = checked_table(self._problems, path, model, table, extra=extra)
        if values is None:
            self._complete = False
            return None
        return model.model_construct(**values) if issubclass(model, Section) else values


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(element, dict) for element in value)


def _is_weight(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
