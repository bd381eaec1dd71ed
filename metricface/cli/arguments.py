"""Arguments and options that several verbs have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metricface.errors import NoModelError, nearest

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
