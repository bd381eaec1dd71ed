"""metricface show."""

from __future__ import annotations

import dataclasses
import inspect
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metricface.cli import complete
from metricface.cli.arguments import AsJson
from metricface.contracts import KINDS, Kind
from metricface.errors import PluginError, UsageError, nearest

if TYPE_CHECKING:
    from metricface.components.registry import Entry, Registries, Registry


def show(
    kind: Annotated[
        str,
        typer.Argument(
            help="backbone, head, loss, ...; not needed where one kind alone has the name",
            show_default=False,
            autocompletion=complete.kinds,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Argument(help="As in metricface list.", show_default=False, autocompletion=complete.names),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show one component: where it comes from, its docstring, its parameters, and TOML to paste into a recipe."""
    from metricface.components.loaded_before import LoadCheck
    from metricface.components.provenance import describe, first_line
    from metricface.components.registry import installed_registries

    kind, name, registry, entry = _found(kind, name, installed_registries())
    component, broken = None, None
    try:
        component = registry.load(name)
    except PluginError as error:
        broken = error
    trial = LoadCheck(broken.reason) if broken else LoadCheck(summary=first_line(inspect.getdoc(component)))
    found = describe(entry, trial)
    if as_json:
        facts = {} if broken else _facts(name, component, KINDS[kind])
        print(json.dumps({**dataclasses.asdict(found), **facts}, indent=2, default=str))
    else:
        print(f"{kind} {name}  ({found.object}, {found.distribution} {found.version})\n{found.file}")
    if broken:
        raise broken
    if not as_json:
        _print(name, component, KINDS[kind])


def _found(kind: str, name: str | None, registries: Registries) -> tuple[str, str, Registry, Entry]:
    """Return the component that is meant; of a name without a kind, the one that has it."""
    if name is None:
        kind, name = _only_kind(kind, registries), kind
    if kind not in KINDS:
        raise UsageError(f"show: no kind {kind!r}.{nearest(kind, KINDS)} Kinds: {', '.join(KINDS)}")
    try:
        return kind, name, registries[kind], registries[kind].find(name)
    except PluginError as error:  # the name is the mistake here, and no plugin's
        raise UsageError(f"show: {error}") from error


def _only_kind(name: str, registries: Registries) -> str:
    """Return the kind that has a component of this name, where it is one alone."""
    names = {kind: registry.names() for kind, registry in registries.items()}
    if name in names:
        raise UsageError(f"show: which {name}? There are: {', '.join(names[name])}")
    kinds = [kind for kind, there in names.items() if name in there]
    if not kinds:
        near = nearest(name, sorted({one for there in names.values() for one in there}))
        raise UsageError(f"show: no component {name!r}.{near} All there are: metricface list")
    if len(kinds) > 1:
        lines = ", or ".join(f"metricface show {kind} {name}" for kind in kinds)
        raise UsageError(f"show: {name!r} is a {' and a '.join(kinds)}. Say which: {lines}")
    return kinds[0]


def _facts(name: str, component: Any, kind: Kind) -> dict[str, Any]:
    """Return what a component says of itself."""
    from metricface.recipe.signature import choices, parameter_facts, toml_example

    return {
        "docstring": inspect.getdoc(component) or "",
        "parameters": parameter_facts(component, kind),
        "choices": choices(component, kind),
        "toml": toml_example(name, component, kind),
    }


def _print(name: str, component: Any, kind: Kind) -> None:
    """Print the same for people."""
    from metricface.recipe.signature import choices, parameters, toml_example

    print(f"\n{inspect.getdoc(component) or 'It has no docstring.'}")
    found = parameters(component, kind)
    print("\nParameters:" if found else "\nIt has no parameters.")
    for parameter in found:
        print(f"  {parameter}")
    for line in choices(component, kind):
        print(line if line.startswith(" ") else f"\n{line}")
    print(f"\n{toml_example(name, component, kind)}")
