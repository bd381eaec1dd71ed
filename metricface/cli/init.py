"""metricface init."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from metricface.cli.arguments import AsJson
from metricface.files import printable


def init(
    data: Annotated[
        Path,
        typer.Option(help="A tree with train and val, a folder with Task_A and Task_B, or a CSV.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="The recipe to write; never one that is there.")] = Path("recipe.toml"),
    task: Annotated[
        str | None, typer.Option(metavar="a|b", help="Classes (a) or people (b). Default: what the photos say.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at your photos, say what was found, and write a recipe for them."""
    from metricface.cli.scaffold.first_recipe import first_recipe, write_new

    first = first_recipe(data, task)
    write_new(out, first.text)
    if as_json:
        print(json.dumps({"recipe": str(out), "findings": list(first.findings)}, indent=2))
        return
    print(printable("\n".join(first.findings)))
    print(f"{out}: written. Next: metricface run {out} --dry-run")
