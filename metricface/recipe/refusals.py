"""What components refuse of their own arguments, asked before anything is made and without any data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from metricface.components.registry import Registries
from metricface.contracts import HasRefusals, HasSizeRefusals
from metricface.errors import PluginError
from metricface.recipe.schema import ComponentSpec, Recipe
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
    for key, message in _asked(component.refusals, part, batch_size).items():
        yield (("train", "batch_size") if key == "batch_size" else (*path, key)), message


def size_refusals(recipe: Recipe, registries: Registries) -> Iterator[tuple[KeyPath, str]]:
    """Yield the place and the message of what the backbone and the transforms refuse at the size of the photos.

    Raises:
        PluginError: the `size_refusals` of one of them fails.
    """
    transforms = [(("transform", number), part) for number, part in enumerate(recipe.transforms)]
    parts: list[tuple[KeyPath, ComponentSpec]] = [(("backbone",), recipe.backbone), *transforms]
    for path, part in parts:
        component: Any = registries[part.kind].load(part.name)
        if isinstance(component, HasSizeRefusals):
            for key, message in _asked(component.size_refusals, part, recipe.data.image_size).items():
                yield (("data", "image_size") if key == "image_size" else (*path, key)), message


def _asked(refusals: Callable[..., Mapping[str, str]], part: ComponentSpec, with_what: int) -> dict[str, str]:
    try:
        return dict(refusals(part.arguments, with_what))
    except Exception as error:
        raise PluginError(
            f"{part.kind} {part.name!r} of {part.distribution} {part.version}: {refusals.__name__}() failed "
            f"({type(error).__name__}: {error}). Fix or uninstall {part.distribution}."
        ) from error
