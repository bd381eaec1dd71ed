"""metricface plugin new."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metricface.cli import complete


def new(
    kind: Annotated[
        str,
        typer.Argument(
            help="backbone, dataset, distortion, head, index, loss, sampler or tracker.",
            show_default=False,
            autocompletion=complete.kinds,
        ),
    ],
    name: Annotated[str, typer.Argument(help="Of the package, for instance metricface-soft.", show_default=False)],
    parent: Annotated[Path, typer.Option("--dir", help="The package becomes a folder in it.")] = Path(),
) -> None:
    """Write a package with a component that works, to be changed into yours; never over a folder that is there."""
    from metricface.cli.scaffold.plugin.package import write_package

    folder = write_package(kind, name, parent)
    print(f"{folder}: written. Next: pip install --no-deps --no-build-isolation -e {folder}")
    print(f"Then: metricface plugin check {folder}, and what its README.md says.")
