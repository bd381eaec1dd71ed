"""Arguments and options that several verbs have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metricface.errors import UsageError, nearest

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Model = Annotated[Path, typer.Argument(help="A run folder or a model folder.", show_default=False)]


def check_model(path: Path) -> None:
    """Refuse a MODEL that is not there, and a run that has none yet.

    Raises:
        UsageError: names the nearest folder beside it. ModelError: names the command that finishes the run.
    """
    from metricface.runs.folder import RunFolder

    if not path.exists():
        near = nearest(path.name, (other.name for other in path.parent.glob("*") if other.is_dir()))
        raise UsageError(f"{path}: no such folder.{near} Name a run folder or its model folder.")
    RunFolder(path).check_has_model()
