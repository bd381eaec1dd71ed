"""What stands before the verb: `metricface --quiet run ...`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated

import typer

from metricface import __version__


@dataclass(frozen=True, slots=True)
class Options:
    """The options that hold for every verb.

    Args:
        quiet: stderr carries errors only; what a verb was asked for still goes to stdout.
        debug: errors come with a traceback.
    """

    quiet: bool = False
    debug: bool = False


_given: ContextVar[Options] = ContextVar("options", default=Options())  # noqa: B039 - it is frozen


def options() -> Options:
    """Return the options of this call of the command line."""
    return _given.get()


def _version(wanted: bool) -> None:
    if wanted:
        print(f"metricface {__version__}")
        raise typer.Exit


def plain() -> bool:
    """Whether nothing may be coloured or bold."""
    return bool(os.environ.get("NO_COLOR"))


@contextmanager
def help_in_the_wanted_style() -> Iterator[None]:
    """Keep colours, and bold type too, out of typer's help where none are wanted; rich itself would keep bold type."""
    if not plain():
        yield
        return
    from typer import rich_utils

    before, rich_utils.COLOR_SYSTEM = rich_utils.COLOR_SYSTEM, None
    try:
        yield
    finally:
        rich_utils.COLOR_SYSTEM = before


def _no_color(context: typer.Context, wanted: bool) -> None:
    """Pass the wish on as NO_COLOR, which everything that draws asks for."""
    if wanted and not plain():
        before = os.environ.get("NO_COLOR")
        os.environ["NO_COLOR"] = "1"
        context.call_on_close(lambda: _put_back("NO_COLOR", before))
    context.with_resource(help_in_the_wanted_style())


def _put_back(variable: str, value: str | None) -> None:
    if value is None:
        del os.environ[variable]
    else:
        os.environ[variable] = value


def before_the_verb(
    context: typer.Context,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="No progress and no notices: errors and results only.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="No colours; so does NO_COLOR.", callback=_no_color, is_eager=True)
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Metric learning for faces: train, evaluate and look at recipes and components."""
    token = _given.set(Options(quiet=quiet, debug=debug))
    context.call_on_close(lambda: _given.reset(token))
