"""Where building, training and evaluating tell the user what happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Progress = Callable[[int, int], None]
"""Called with (done, total) of a piece of work."""


class Console(Protocol):
    """The command line has one that draws; a notebook may bring its own."""

    def say(self, text: str) -> None:
        """Show one line."""

    def progress(self, what: str) -> Progress:
        """Return a callback (done, total) for a piece of work."""


class Silent:
    """A console that says nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def progress(self, what: str) -> Progress:
        """Return a callback that shows nothing."""
        return _show_nothing


def _show_nothing(done: int, total: int) -> None:
    """Show nothing."""
