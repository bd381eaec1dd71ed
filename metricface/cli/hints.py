"""What somebody may have meant who wrote a verb or an option of another tool."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from metricface.errors import RecipeError

# What other tools call it, and what stands in a group of ours. Other words are looked for by their spelling.
VERBS = {
    "train": "run",
    "fit": "run",
    "resume": "run --resume",
    "dry-run": "run --dry-run",
    "test": "eval",
    "validate": "check",
    "lint": "check",
    "predict": "classify",
    "infer": "classify",
    "identify": "eval --gallery --probe",
    "diff": "compare",
    "distort": "data distort",
    "demo": "data demo",
    "watch": "runs watch",
    "list-components": "list",
    "plugins": "list",
    "models": "list backbone",
    "info": "show",
    "help": "--help",
    "version": "--version",
    "recipe": "init",
    "config": "init",
    "ls": "runs list",
    "status": "runs list",
    "log": "runs watch",
    "env": "doctor",
}
_KEYS = {
    "learning_rate": "lr",
    "bs": "batch_size",
    "batch": "batch_size",
    "num_workers": "workers",
    "model_name": "model",
}
_USUAL = ("backbone.model", "backbone.weights", "optimizer.lr", "optimizer.weight_decay")
_WITH_SET = ("run", "check")  # verbs whose --set takes keys of a recipe
_CLOSE = 0.75


def verb_hint(word: str, context: Any) -> str:
    """Return what to say of a verb that is none: " Did you mean 'run'?", or "".

    Args:
        word: as it was written.
        context: typer's, of the group that does not know it.
    """
    last = {verb.split()[-1]: verb for verb in _verbs(context.find_root().command)}
    near = difflib.get_close_matches(word, last, n=1, cutoff=_CLOSE)
    meant = VERBS.get(word) or (last[near[0]] if near else None)
    return "" if meant is None else f" Did you mean '{meant}'?"


def _verbs(group: Any, before: str = "") -> Iterator[str]:
    """Yield every verb as one writes it: "runs list"."""
    for name, command in group.commands.items():
        yield f"{before}{name}"
        if hasattr(command, "commands"):
            yield from _verbs(command, f"{before}{name} ")


def option_hint(option: str, context: Any, words: Sequence[str]) -> str:
    """Return what to say of an option that the verb does not have, or "".

    Args:
        option: as it was written, without its value.
        context: typer's, of the verb.
        words: the command line behind `metricface`.
    """
    verb = _verb(context)
    if any(option in parameter.opts for parameter in context.find_root().command.params):
        return f" It stands before the verb: metricface {option} {verb}."
    if verb not in _WITH_SET:
        return ""
    wanted = option.lstrip("-").replace("-", "_")
    wanted = _KEYS.get(wanted, wanted)
    keys = {key.rpartition(".")[2]: key for key in reversed([*_engine_keys(), *_keys_of_recipe(words), *_USUAL])}
    near = difflib.get_close_matches(wanted, keys, n=1, cutoff=_CLOSE)
    if not near:
        return ""
    setting = f"{keys[near[0]]}={_value_of(option, words) or 'VALUE'}"
    return f" Keys of the recipe are set so: --set {shlex.quote(setting)}."


def _verb(context: Any) -> str:
    """Return the verb as one writes it, however the program itself was called."""
    names: list[str] = []
    while context.parent is not None:
        names.insert(0, context.info_name)
        context = context.parent
    return " ".join(names)


def _engine_keys() -> Iterator[str]:
    """Yield the keys that every recipe may have."""
    from metricface.recipe.schema import DataSection, RunSection, TrainSection

    for section, model in (("train", TrainSection), ("data", DataSection), ("run", RunSection)):
        yield from (f"{section}.{key}" for key in model.model_fields)


def _keys_of_recipe(words: Sequence[str]) -> Iterator[str]:
    """Yield the keys of the recipe on the command line, as --set takes them; nothing where it cannot be read."""
    from metricface.recipe.bases import read_recipe

    path = next((Path(word) for word in words if word.endswith(".toml")), None)
    try:
        tables = {} if path is None else read_recipe(path)[0]
    except RecipeError:
        return
    for section, value in tables.items():
        for table in value if isinstance(value, list) else [value]:
            if isinstance(table, dict):
                where = f"{section}.{table.get('name')}" if isinstance(value, list) else section
                yield from (f"{where}.{key}" for key in table if key != "name")


def _value_of(option: str, words: Sequence[str]) -> str:
    """Return what the user gave an option, "" for nothing."""
    for number, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == option:
            following = words[number + 1 : number + 2]
            return value if equals else "".join(next_ for next_ in following if not next_.startswith("--"))
    return ""
