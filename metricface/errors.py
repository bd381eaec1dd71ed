"""Errors that a user can act on.

Every message is one line: `where: what is wrong (got ...). Nearest or allowed values. What to do next.`
The command line prints it without a traceback and ends with `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class MetricFaceError(Exception):
    """Base of all errors that are the user's to fix; anything else is our own bug."""

    exit_code = 1


class TrainingError(MetricFaceError):
    """Training cannot go on, for instance because a loss is not finite."""


class EvaluationError(MetricFaceError):
    """A figure cannot be computed from what is there."""


class ModelError(MetricFaceError):
    """A model folder or checkpoint cannot be used."""


class NoModelError(ModelError):
    """There is no model where one was named, or none yet."""

    exit_code = 2


class UsageError(MetricFaceError):
    """The command line is wrong."""

    exit_code = 2


class RecipeError(MetricFaceError):
    """A recipe is wrong: every problem at once, one line each."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems: Sequence[str] = problems


class DataError(MetricFaceError):
    """Photos, folders or splits are missing or unfit."""

    exit_code = 3


class PluginError(MetricFaceError):
    """A component cannot be found, loaded or trusted with its contract, or an extra is missing.

    Args:
        message: what is wrong, and where.
        reason: the same without the component's name, where something around it names that already.
    """

    exit_code = 4

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message


class Interrupted(MetricFaceError):  # noqa: N818 - it is an outcome, not a mistake
    """The user or the system asked the program to stop.

    Args:
        signal_number: 2 (SIGINT) ends with exit code 130, 15 (SIGTERM) with 143.
    """

    def __init__(self, signal_number: int, message: str = "interrupted") -> None:
        super().__init__(message)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number


def counted(number: int, one: str, many: str) -> str:
    """Return "1 photo is" or "3 photos are": the number with the words for one, or for any other number."""
    return f"{number} {one if number == 1 else many}"


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return ` Did you mean "x"?` for the closest of `allowed`, or an empty string."""
    matches = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.6)
    return f' Did you mean "{matches[0]}"?' if matches else ""
