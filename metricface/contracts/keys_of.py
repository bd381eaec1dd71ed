"""Parameters that are tables, whose keys are the parameters of something else that the recipe names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metricface.errors import nearest

if TYPE_CHECKING:
    from inspect import Signature


@dataclass(frozen=True, slots=True, eq=False)
class KeysOf:
    """On a parameter that is a table: the table's keys are those of a callable that the recipe chooses by name.

    For a component that hands a table on to another library: `table: Annotated[dict[str, Any] | None, KeysOf(...)]`.
    The keys are checked like the component's own, with line and nearest name, and every default is written in.

    Args:
        what: what is chosen, for messages: "loss", "distance".
        signatures: () -> name -> the parameters that a recipe may set, keyword-only and annotated (with a KeysOf, too).
        key: the component's parameter that holds the name; "" where the key `name` of the table itself does.
        refused: name -> why no recipe may choose it, as a phrase that goes on after the name.
        filled: keys that the component fills in; a recipe may not set them.
        elsewhere: keys of the callable that a recipe says in another place -> that place, as a message.
    """

    what: str
    signatures: Callable[[], Mapping[str, Signature]]
    key: str = ""
    refused: Mapping[str, str] = field(default_factory=dict)
    filled: frozenset[str] = frozenset()
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def refusal(self, name: str) -> str:
        """Return the message for a name that none of the signatures has."""
        if name in self.refused:
            return f"{self.what} {name!r} cannot be named in a recipe: it {self.refused[name]}"
        names = self.signatures()
        return f"unknown {self.what} {name!r}.{nearest(name, names)} There are: {', '.join(names)}"
