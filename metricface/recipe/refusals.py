"""What components refuse of their own arguments, asked before anything is made and without any data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from metricface.contracts import HasRefusals
from metricface.errors import PluginError
from metricface.recipe.schema import ComponentSpec
from metricface.recipe.toml_lines import KeyPath


def refusals_of(
    component: Any, part: ComponentSpec, path: KeyPath, table: Mapping[str, Any]
) -> Iterator[tuple[KeyPath, str]]:
    """Yield the place and the message of everything that a component refuses.

    Args:
        component: as its package brings it.
        part: its checked arguments.
        path: of its section in the recipe.
        table: the whole recipe, of which train.batch_size may not have been checked yet.

    Raises:
        PluginError: the component's `refusals` fails.
    """
    train = table.get("train")
    batch_size = train.get("batch_size") if isinstance(train, dict) else None
    if not isinstance(component, HasRefusals) or not isinstance(batch_size, int) or batch_size < 1:
        return
    try:
        found = dict(component.refusals(part.arguments, batch_size))
    except Exception as error:
        raise PluginError(
            f"{part.kind} {part.name!r} of {part.distribution} {part.version}: refusals() failed "
            f"({type(error).__name__}: {error}). Fix or uninstall {part.distribution}."
        ) from error
    for key, message in found.items():
        yield (("train", "batch_size") if key == "batch_size" else (*path, key)), message
