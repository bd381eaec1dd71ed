"""metricface plugin check."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metricface.cli import complete
from metricface.cli.arguments import AsJson, settings_table
from metricface.errors import PluginError, RecipeError, UsageError

if TYPE_CHECKING:
    from metricface.testing.components import Checked

Words = Annotated[
    list[str],
    typer.Argument(
        metavar="[KIND] NAME|PATH",
        help="A component, with its kind where several kinds have the name; or the folder of a package.",
        show_default=False,
        autocompletion=complete.kinds_and_names,
    ),
]


def check(
    words: Words,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A parameter, as a recipe would set it.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="For a dataset: a folder that it reads, with train and val.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that components do what the engine relies on; each failed check says why it matters and shows a case.

    A package need not be installed: its modules are imported from the folder, and nothing else of it is run.
    """
    from metricface.cli.render import Screen
    from metricface.components.registry import installed_registries
    from metricface.testing.components import check_all, find

    if len(words) > 2:
        raise UsageError(f"plugin check: one component or folder at a time (got {' '.join(words)}).")
    choices, package = find(words, installed_registries())
    arguments = settings_table(settings or ())
    screen = Screen()
    notices = () if package is None else package.notices
    for notice in notices:
        screen.say(notice)
    try:
        with redirect_stdout(sys.stderr):  # what a plugin prints is no part of the answer
            checked = check_all(choices, package, arguments, root)
    except RecipeError as error:
        raise RecipeError(*(f"{problem} (--set KEY=VALUE)" for problem in error.problems)) from error
    if as_json:
        document = {"components": [one.to_json() for one in checked], "notices": notices}
        print(json.dumps(document, indent=2))
    else:
        _show(checked)
    if any(one.report.failed for one in checked):
        raise typer.Exit(PluginError.exit_code)


def _show(checked: Sequence[Checked]) -> None:
    """Print a line for every check, and the count of them for every component."""
    from metricface.cli.tables import table
    from metricface.testing.examine import WITH_SUITE

    rows = [(one.report.name, *row) for one in checked for row in one.report.rows()]
    table(("component", "check", "result", "what was found"), rows)
    for one in checked:
        states = [it.status for it in one.report.outcomes]
        counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        kind = one.entry.kind
        more = "" if kind in WITH_SUITE else f"; these are all checks that there are of the kind {kind}"
        print(f"{one.report.name} ({one.entry.distribution} {one.entry.version}): {counts}{more}")
