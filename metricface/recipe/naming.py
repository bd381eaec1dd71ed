"""How a key of a recipe is called, on the command line and in messages alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar


def element_names(elements: Iterable[Any]) -> list[str | None]:
    """Return what each element of an array of tables is called: its name, and the second of a name "crop-2".

    None stands for an element without a name.
    """
    seen: Counter[str] = Counter()
    found: list[str | None] = []
    for element in elements:
        name = element.get("name") if isinstance(element, Mapping) else None
        if not isinstance(name, str):
            found.append(None)
            continue
        seen[name] += 1
        found.append(f"{name}-{seen[name]}" if seen[name] > 1 else name)
    return found


class Named(Protocol):
    """An element that has its name as an attribute."""

    @property
    def name(self) -> str:
        """The component's name, as the recipe has it."""
        ...


_N = TypeVar("_N", bound=Named)


def by_element_name(elements: Iterable[_N]) -> dict[str, _N]:
    """Return elements by what `element_names` calls them; of two called alike, the first."""
    found: dict[str, _N] = {}
    listed = list(elements)
    for name, element in zip(element_names([{"name": element.name} for element in listed]), listed, strict=True):
        found.setdefault(str(name), element)
    return found


def key_name(table: Mapping[str, Any], path: Iterable[str | int]) -> str:
    """Return a path into a recipe as `--set` takes it: `loss.contrastive.weight` for ("loss", 1, "weight").

    An element without a name is left out: no key reaches it.
    """
    found: list[str] = []
    value: Any = table
    for part in path:
        if isinstance(part, int):
            names = element_names(value) if isinstance(value, list) else []
            name = names[part] if part < len(names) else None
            found += [] if name is None else [name]
            value = value[part] if part < len(names) else None
        else:
            found.append(part)
            value = value.get(part) if isinstance(value, Mapping) else None
    return ".".join(found)
