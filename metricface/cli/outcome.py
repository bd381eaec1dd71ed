"""How a command ends: the user's mistakes as one line and an exit code, never a traceback."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec

import typer

from metricface.errors import MetricFaceError

P = ParamSpec("P")

_SIGINT_EXIT = 130


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Wrap a command so that MetricFaceError, Ctrl-C and a closed pipe end it properly."""

    @functools.wraps(command)
    def guard(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except MetricFaceError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(_SIGINT_EXIT) from None
        except BrokenPipeError:
            # The reader has seen enough; without this, Python complains once more when it flushes stdout at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    return guard
