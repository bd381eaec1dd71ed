"""How a command ends: the user's mistakes as one line and an exit code, never a traceback."""

from __future__ import annotations

import errno
import functools
import io
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

import typer
from typer.core import TyperGroup

from metricface.cli.options import help_in_the_wanted_style, options
from metricface.errors import MetricFaceError
from metricface.files import printable

P = ParamSpec("P")

_SIGINT_EXIT = 130
_FAILED_EXIT = 1
_LESS_MEMORY = (
    "Training takes less with train.recompute = true, data.cache_gib = 0 or a smaller train.batch_size; metricface run "
    "--dry-run says how much."
)
# typer brings a click of its own or uses the installed one, depending on its version; this is that click's UsageError.
_Misuse: Any = typer.BadParameter.__base__
_NO_VERB = re.compile(r"No such command '(.*?)'")
_GUESS = re.compile(r"\.? (?:Did you mean|\(Possible)")


class OneLineGroup(TyperGroup):
    """The command; what typer finds wrong with the command line becomes one line as well."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command line and exit."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="surrogateescape")  # a file's name goes out as the bytes that it is
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except _Misuse as error:
            if error.format_message():  # empty where typer has shown the help instead
                words = extra.get("args") or (args and args[0]) or sys.argv[1:]
                print(f"error: {printable(_one_line(error, words))}", file=sys.stderr)
            code = error.exit_code
        sys.exit(code)

    def format_help(self, context: Any, formatter: Any) -> None:
        """Show the help; it may come before any option is looked at."""
        with help_in_the_wanted_style():
            super().format_help(context, formatter)


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Wrap a command so that MetricFaceError, Ctrl-C, a closed pipe and a file out of reach end it properly."""

    @functools.wraps(command)
    def guard(*args: P.args, **kwargs: P.kwargs) -> None:
        code = 0
        try:
            code = _ended(functools.partial(command, *args, **kwargs))
            sys.stdout.flush()
        except BrokenPipeError:  # the reader has seen enough
            _close_stdout()
        except OSError as error:
            if error.errno is None:
                raise
            _close_stdout()  # it was the flush that failed
            code = code or _failed(f"stdout: {_reason(error)}", _FAILED_EXIT)
        if code:
            raise typer.Exit(code)

    return guard


def _ended(command: Callable[[], None]) -> int:
    """Call a command; print what the user should know of its end and return the exit code."""
    try:
        command()
    except typer.Exit as wanted:
        return wanted.exit_code
    except MetricFaceError as error:
        return _failed(_counted(str(error)), error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _SIGINT_EXIT
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.errno is None:
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        return _failed(f"{where}{_reason(error)}", _FAILED_EXIT)
    except (Exception, SystemExit) as error:  # nothing of ours leaves by SystemExit, a component may
        from metricface.build.blame import blamed
        from metricface.machine import is_out_of_memory

        if is_out_of_memory(error):
            return _failed(f"out of memory{_asked(error)}. {_LESS_MEMORY}", _FAILED_EXIT)
        plugins = blamed(error)
        if plugins is None:
            raise
        return _failed(str(plugins), plugins.exit_code)
    return 0


def _asked(error: BaseException) -> str:
    """Return " (...)" with what numpy or torch says of the memory that they could not have; "" for nothing."""
    said = (str(error).splitlines() or [""])[0].rpartition("DefaultCPUAllocator: ")[2].rstrip(".")
    return said and f" ({said})"


def _reason(error: OSError) -> str:
    """Return what the system says, and the way out where the disk is full."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return f"{error.strerror}.{' Make room, or write elsewhere.' if full else ''}"


def _close_stdout() -> None:
    """Keep Python from complaining once more when it flushes stdout at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(message: str, code: int) -> int:
    """Print the error that is being handled, with --debug where it arose."""
    if options().debug:
        traceback.print_exc()
    print(f"error: {printable(message)}", file=sys.stderr)
    return code


def _counted(message: str) -> str:
    """Return a message; several problems come below their number, each alone on its line, for editors to find."""
    problems = message.count("\n") + 1
    return message if problems == 1 else f"{problems} problems\n{message}"


def _one_line(error: Any, words: Sequence[str]) -> str:
    """Return "metricface run: missing argument 'RECIPE'. See metricface run --help." of typer's complaint."""
    command = error.ctx.command_path if error.ctx is not None else "metricface"
    said = " ".join(error.format_message().split()).rstrip(".")
    hint = _hint(error, words) if error.ctx is not None else ""
    if hint:  # better than the guess that typer makes by spelling alone
        said = _GUESS.split(said)[0]
    stop = "" if said.endswith("?") else "."
    return f"{command}: {said[:1].lower()}{said[1:]}{stop}{hint} See {command} --help."


def _hint(error: Any, words: Sequence[str]) -> str:
    """Return what may have been meant by a verb or an option that is not there, "" where typer's own guess will do."""
    from metricface.cli.hints import VERBS, option_hint, verb_hint

    if verb := _NO_VERB.match(error.message):
        guessed = _GUESS.search(error.message) and verb[1] not in VERBS
        return "" if guessed else verb_hint(verb[1], error.ctx)
    if error.message.startswith("No such option"):
        return option_hint(error.option_name, error.ctx, words)
    return ""
