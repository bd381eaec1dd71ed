"""metricface check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    recipe: Annotated[Path, typer.Argument(help="A recipe.", show_default=False)],
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As in run.")] = None,
) -> None:
    """Check a recipe: all of its mistakes at once, then warnings. The data is checked by run and run --dry-run."""
    from metricface.cli.render import Screen
    from metricface.components.registry import installed_registries
    from metricface.recipe.load import load_recipe

    checked = load_recipe(recipe, overrides or (), installed_registries())
    screen = Screen()
    for notice in checked.notices:
        screen.say(f"warning: {notice}")
    print(f"{recipe}: good ({len(checked.components())} components, digest {checked.digest[:8]})")
