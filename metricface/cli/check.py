"""metricface check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from metricface.cli.arguments import AsJson
from metricface.errors import PluginError, RecipeError


def check(
    recipe: Annotated[Path, typer.Argument(help="A recipe.", show_default=False)],
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As in run.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a recipe: all of its mistakes at once, then warnings. The data is checked by run and run --dry-run."""
    from metricface.cli.render import Screen
    from metricface.components.registry import installed_registries
    from metricface.recipe.load import load_recipe

    registries = installed_registries()
    try:
        checked = load_recipe(recipe, overrides or (), registries)
        if checked.trackers:
            from metricface.build.components import trackers

            trackers(registries, checked)  # a missing package is found before any training
    except (RecipeError, PluginError) as error:
        if as_json:
            bad = {"recipe": str(recipe), "good": False, "problems": _split(str(error)), "warnings": []}
            print(json.dumps(bad, indent=2))
        raise
    if as_json:
        facts = {"components": len(checked.components()), "digest": checked.digest}
        told = {"problems": [], "warnings": _split("\n".join(checked.notices))}
        print(json.dumps({"recipe": str(recipe), "good": True, **told, **facts}, indent=2))
        return
    screen = Screen()
    for notice in checked.notices:
        screen.say(f"warning: {notice}")
    print(f"{recipe}: good ({len(checked.components())} components, digest {checked.digest[:8]})")


def _split(lines: str) -> list[dict[str, str]]:
    """Return problems as they are printed, `file:line  key  what`, in their parts; those without parts are `what`."""
    found = []
    for line in lines.splitlines():
        where, _, rest = line.partition("  ")
        key, _, what = rest.partition("  ")
        found.append({"where": where, "key": key, "what": what} if what else {"where": "", "key": "", "what": line})
    return found
