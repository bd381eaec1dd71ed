"""`--set head.margin=0.4`: one key of a recipe changed on the command line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from metricface.errors import nearest
from metricface.recipe.naming import element_names
from metricface.recipe.problems import Problems

_BARE = re.compile(r"[^\s\"'\[\]{}=#,][^\"'\[\]{}=#]*")


def apply_overrides(
    table: dict[str, Any], overrides: Sequence[str], sections: Mapping[str, bool], problems: Problems
) -> None:
    """Change `table` in place; what cannot be applied becomes a problem.

    Args:
        table: a parsed recipe.
        overrides: "key=value" each; the value is TOML, or a bare word, which is taken as text.
        sections: every section's name -> whether it is an array of tables.
        problems: told where each changed value now stands.
    """
    for text in overrides:
        key, equals, value = text.partition("=")
        parts = key.strip().split(".")
        if not equals or len(parts) < 2 or not all(parts):
            problems.override((text,), text)
            problems.add(
                (text,), "is not KEY=VALUE, for instance head.margin=0.4 or loss.contrastive.weight=0.2", key=key
            )
            continue
        _apply(table, parts, value.strip(), text, sections, problems)


def toml_value(text: str) -> Any:
    """Return what stands right of the equals sign: TOML, or a bare word, which is taken as text.

    Raises:
        ValueError: it is neither.
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        if not _BARE.fullmatch(text):
            raise ValueError(f"{text!r} is not a TOML value") from None
        return text


def _apply(
    table: dict[str, Any],
    parts: list[str],
    value: str,
    text: str,
    sections: Mapping[str, bool],
    problems: Problems,
) -> None:
    """Set one key of `table`, or say why not."""
    section, *rest = parts
    problems.override((text,), text)
    if section not in sections:
        problems.add(
            (text,), f"unknown section.{nearest(section, sections)} Sections: {', '.join(sections)}", key=section
        )
        return
    path: tuple[str | int, ...] = (section,)
    target = table.setdefault(section, [] if sections[section] else {})
    if sections[section]:
        name, *rest = rest
        names = element_names(target) if isinstance(target, list) else []
        if names.count(name) != 1 or not rest:
            problems.add((text,), f"{section} {_no_element(name, names, rest)}", key=".".join(parts))
            return
        path = (section, names.index(name))
        target = target[names.index(name)]
    try:
        parsed = toml_value(value)
    except ValueError as error:
        problems.add((text,), str(error), key=".".join(parts))
        return
    for key in rest[:-1]:
        path = (*path, key)
        target = target.setdefault(key, {}) if isinstance(target, dict) else target
    if not isinstance(target, dict):
        problems.add((text,), "is no table, so nothing in it can be set", key=".".join(parts[:-1]))
        return
    target[rest[-1]] = parsed
    problems.override((*path, rest[-1]), text)


def _no_element(name: str, names: Sequence[str | None], rest: Sequence[str]) -> str:
    """Return why `name` with the keys `rest` after it is no key of one element among those of such names."""
    known = [found for found in names if found is not None]
    why = "is the name of more than one." if rest else "needs a key after it."
    if name not in names:
        why = f"is not in the recipe.{nearest(name, known)}"
    return f"{name!r} {why} There are: {', '.join(known) or 'none'}"
