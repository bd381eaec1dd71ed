"""What the shell offers on Tab; nothing heavy is imported, no component at all."""

from __future__ import annotations

import typer

from metricface.contracts import KINDS


def kinds(incomplete: str) -> list[str]:
    """Return the kinds of components that begin so."""
    return [kind for kind in KINDS if kind.startswith(incomplete)]


def names(context: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the kind that stands before, as far as they begin so."""
    from metricface.registry import registries

    kind = KINDS.get(context.params.get("kind") or "")
    known = () if kind is None else registries()[kind.name].names()
    return [name for name in known if name.startswith(incomplete)]
