"""metricface show."""

from __future__ import annotations

import inspect
from typing import Annotated

import typer

from metricface.cli import complete
from metricface.contracts import KINDS
from metricface.errors import PluginError, UsageError, nearest


def show(
    kind: Annotated[
        str, typer.Argument(help="backbone, head, loss, ...", show_default=False, autocompletion=complete.kinds)
    ],
    name: Annotated[
        str, typer.Argument(help="As in metricface list.", show_default=False, autocompletion=complete.names)
    ],
) -> None:
    """Show one component: where it comes from, its docstring, its parameters, and TOML to paste into a recipe."""
    from metricface.recipe.signature import parameters, toml_example
    from metricface.registry import registries

    if kind not in KINDS:
        raise UsageError(f"show: no kind {kind!r}.{nearest(kind, KINDS)} Kinds: {', '.join(KINDS)}")
    registry = registries()[kind]
    try:
        entry = registry.find(name)
    except PluginError as error:  # the name is the mistake here, and no plugin's
        raise UsageError(f"show: {error}") from error
    component = registry.load(name)
    print(f"{kind} {name}  ({entry.value}, {entry.distribution} {entry.version})\n")
    print(inspect.getdoc(component) or "It has no docstring.")
    found = parameters(component, KINDS[kind])
    print("\nParameters:" if found else "\nIt has no parameters.")
    for parameter in found:
        print(f"  {parameter}")
    print(f"\n{toml_example(name, component, KINDS[kind])}")
