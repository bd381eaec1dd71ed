"""Arguments and options that several verbs have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from metricface.errors import NoModelError, UsageError, nearest

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Photos at once: fewer for less memory, at the same results.")]
Device = Annotated[str, typer.Option(help='Where to compute, as train.device: "auto", "cpu", "cuda", "cuda:1", "mps".')]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
Model = Annotated[Path, typer.Argument(help="A run folder or a model folder.", show_default=False)]


def check_model(path: Path) -> None:
    """Refuse a MODEL that is not there, and a run that has none yet.

    Raises:
        NoModelError: names the nearest folder beside it, or the command that finishes the run.
    """
    from metricface.runs.folder import RunFolder

    if not path.exists():
        near = nearest(path.name, (other.name for other in path.parent.glob("*") if other.is_dir()))
        raise NoModelError(f"{path}: no such folder.{near} Name a run folder or its model folder.")
    RunFolder(path).check_has_model()


def check_device(name: str) -> None:
    """Refuse a --device that is not on this machine, before anything is read.

    Raises:
        RecipeError: says why it cannot be used.
    """
    from metricface.machine import choose_device

    choose_device(name, "--device")


def settings_table(settings: Sequence[str]) -> dict[str, Any]:
    """Return `--set margin=0.3 --set arguments.alpha=2` as a table."""
    from metricface.recipe.overrides import toml_value

    table: dict[str, Any] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        *outer, last = key.strip().split(".")
        if not equals or not all((*outer, last)):
            raise UsageError(f"--set {text}: is not KEY=VALUE, for instance margin=0.4")
        target = table
        for part in outer:
            target = target.setdefault(part, {})
            if not isinstance(target, dict):
                raise UsageError(f"--set {text}: {part} is no table, so nothing in it can be set.")
        try:
            target[last] = toml_value(value.strip())
        except ValueError as error:
            raise UsageError(f"--set {text}: {error}.") from error
    return table
