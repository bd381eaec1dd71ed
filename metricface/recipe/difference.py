"""The keys in which recipes differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metricface.recipe.naming import element_names

RecipeTables = Mapping[str, Any]


def differing_keys(a: Sequence[RecipeTables], b: Sequence[RecipeTables]) -> dict[str, tuple[list[Any], list[Any]]]:
    """Return key -> its values in the recipes of either side, for every key whose values are not the same ones.

    Nested keys are joined with dots: `head.margin`. A component of an array is reached by its name, as `--set` does
    it: `loss.contrastive.weight`, and the second of a name as `transform.random-distortion-2.probability`; the array
    itself stands for its names in order.

    Args:
        a: resolved recipes of one side as plain tables, one or more; equal values of a side are given once, and None
            stands for a key that a recipe has not.
        b: those of the other side.
    """
    flat = [[flat_keys(recipe) for recipe in side] for side in (a, b)]
    keys = dict.fromkeys(key for side in flat for recipe in side for key in recipe)
    values = {key: tuple(_distinct([recipe.get(key) for recipe in side]) for side in flat) for key in keys}
    return {key: (ours, theirs) for key, (ours, theirs) in values.items() if ours != theirs}


def flat_keys(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the keys of a recipe as `--set` takes them; an array of components stands for their names, too."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            found.update(flat_keys(value, f"{prefix}{key}."))
        elif isinstance(value, list) and value and all(isinstance(element, Mapping) for element in value):
            found[prefix + key] = [element.get("name") for element in value]
            for name, element in zip(element_names(value), value, strict=True):
                rest = {inner: kept for inner, kept in element.items() if inner != "name"}
                found.update(flat_keys(rest, f"{prefix}{key}.{name}."))
        else:
            found[prefix + key] = value
    return found


def _distinct(values: Sequence[Any]) -> list[Any]:
    """Return each value once, in order; 1, 1.0 and true are told apart."""
    found: dict[str, Any] = {}
    for value in values:
        found.setdefault(repr(value), value)
    return list(found.values())
