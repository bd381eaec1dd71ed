"""metricface list."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from metricface.cli import complete
from metricface.cli.arguments import AsJson
from metricface.contracts import KINDS
from metricface.errors import UsageError, nearest


def list_components(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="backbone, head, loss, ... Default: all.", show_default=False, autocompletion=complete.kinds
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the components that recipes can name, built-in and installed, with their packages and what is BROKEN."""
    from metricface.components.provenance import survey
    from metricface.components.registry import installed_registries

    if kind is not None and kind not in KINDS:
        raise UsageError(f"list: no kind {kind!r}.{nearest(kind, KINDS)} Kinds: {', '.join(KINDS)}")
    found = survey(installed_registries(), KINDS if kind is None else [kind])
    if as_json:
        print(json.dumps([dataclasses.asdict(component) for component in found], indent=2))
        return
    from metricface.cli.tables import show_components

    show_components(found)
