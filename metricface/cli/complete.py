"""What the shell offers on Tab; nothing heavy is imported, no component at all."""

from __future__ import annotations

import typer

from metricface.contracts import KINDS


def kinds(incomplete: str) -> list[str]:
    """Return the kinds of components that begin so."""
    return [kind for kind in KINDS if kind.startswith(incomplete)]


def names(context: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the kind that stands before, as far as they begin so."""
    from metricface.components.registry import installed_registries

    kind = KINDS.get(context.params.get("kind") or "")
    known = () if kind is None else installed_registries()[kind.name].names()
    return [name for name in known if name.startswith(incomplete)]


def kinds_and_names(context: typer.Context, incomplete: str) -> list[str]:
    """Return the kinds that begin so, and the names of all kinds, or of the one that stands before."""
    from metricface.components.registry import installed_registries

    before = context.params.get("words") or ()
    asked = {kind: registry for kind, registry in installed_registries().items() if not before or kind == before[0]}
    known = [*(() if before else asked), *(name for registry in asked.values() for name in registry.names())]
    return [word for word in dict.fromkeys(known) if word.startswith(incomplete)]
