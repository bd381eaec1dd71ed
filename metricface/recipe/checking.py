"""One table of a recipe against what may stand in it, and so the tables inside it."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from metricface.contracts import KeysOf
from metricface.recipe.problems import Problems
from metricface.recipe.signature import in_degrees, keys_of, signature_model, validated
from metricface.recipe.toml_lines import KeyPath

FILLED_IN = "is filled in by MetricFace: take it out"


def checked_table(
    problems: Problems, path: KeyPath, model: type[BaseModel], table: Mapping[str, Any], *, extra: tuple[str, ...] = ()
) -> dict[str, Any] | None:
    """Return the checked values of the table at `path`, defaults included, or None after problems.

    `extra` are names that messages list besides the model's own.
    """
    names = (*extra, *model.model_fields)
    dates = [key for key, value in table.items() if key in names and _holds_a_date(value)]
    for key in dates:
        problems.add((*path, key), "is or holds a date or time, which no parameter takes: put it in quotes")
    inner = _chosen(problems, path, model, table)
    try:
        values = validated(
            model,
            {key: {} if key in inner else None if _holds_a_date(value) else value for key, value in table.items()},
        )
    except ValidationError as error:
        problems.add_invalid(path, error, names, told=dates)
        return None
    if dates or None in inner.values():
        return None
    _warn_of_radians(problems, path, model, values)
    return {**values, **inner}


def _chosen(problems: Problems, path: KeyPath, model: type[BaseModel], table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked values, or None, of every table whose keys depend on a name that is a text at least."""
    found: dict[str, Any] = {}
    for key, field in model.model_fields.items():
        keys, given = keys_of(field), table.get(key)
        if keys is None or not isinstance(given, dict | None) or _holds_a_date(given):
            continue
        if keys.key and isinstance(table.get(keys.key), str):
            found[key] = _table_of(problems, (*path, key), (*path, keys.key), keys, table[keys.key], given or {})
        elif not keys.key and given is not None:
            name = given.get("name")
            rest = {inner: value for inner, value in given.items() if inner != "name"}
            values = _table_of(problems, (*path, key), (*path, key, "name"), keys, name, rest)
            found[key] = None if values is None else {"name": name, **values}
    return found


def _table_of(
    problems: Problems, path: KeyPath, name_path: KeyPath, keys: KeysOf, name: object, table: dict[str, Any]
) -> dict[str, Any] | None:
    """Return the checked table of the callable called `name`, or None after problems."""
    signatures = keys.signatures()
    if not isinstance(name, str):
        problems.add(name_path, f"is missing or no text. There are: {', '.join(signatures)}")
        return None
    if name not in signatures:
        problems.add(name_path, keys.refusal(name))
        return None
    told = {**dict.fromkeys(keys.filled, FILLED_IN), **keys.elsewhere}
    refused = [key for key in table if key in told and key not in signatures[name].parameters]
    for key in refused:
        problems.add((*path, key), told[key])
    rest = {key: value for key, value in table.items() if key not in refused}
    values = checked_table(
        problems, path, signature_model(name, signatures[name]), rest, extra=() if keys.key else ("name",)
    )
    return None if refused else values


def _warn_of_radians(problems: Problems, path: KeyPath, model: type[BaseModel], values: Mapping[str, Any]) -> None:
    """Warn of an angle in degrees that is so small that radians may be meant."""
    for key, field in model.model_fields.items():
        if in_degrees(field) and 0 < values[key] <= math.pi / 2:
            problems.warn(
                (*path, key),
                f"is in degrees here: {values[key]} degrees are {math.radians(values[key]):.4g} radians. "
                f"If you mean radians, write {math.degrees(values[key]):.4g}",
            )


def _holds_a_date(value: Any) -> bool:
    """Whether there is one of TOML's dates and times in a value; JSON, and so a component's signature, has none."""
    if isinstance(value, dict | list):
        return any(map(_holds_a_date, value.values() if isinstance(value, dict) else value))
    return isinstance(value, datetime.date | datetime.time)
