"""Writing files so that a reader, or a power cut, never finds half of one; text that survives any file name."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from metricface.errors import UsageError

_LETTERS_KEPT = 50  # of a name, in that of the file beside it: four bytes each leave room for the rest
# C0 without tab and newline, delete, C1, and the marks that turn the direction of writing.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Call `write` with a binary file that replaces `path` in one step once it is complete and on disk.

    Raises:
        OSError: the folder is missing, not writable or full; it names `path`, which is as it was.
    """
    try:
        _write_and_replace(path, write)
    except OSError as error:
        if error.errno is None or error.filename == str(path):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _write_and_replace(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:_LETTERS_KEPT]}.", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; bytes of a file name that are not UTF-8 stand as \\udcXX, as JSON has them."""
    write_atomically(path, lambda file: file.write(text.encode(errors="backslashreplace")))


def write_json(path: Path, document: Any) -> None:
    """Write JSON atomically, two spaces deep; NaN and infinity are refused (ValueError)."""
    write_text(path, json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def printable(text: str) -> str:
    """Return text in which nothing but tabs and newlines commands a terminal: an escape stands as \\x1b."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def as_cell(value: object) -> object:
    """Return what to write into a CSV file: text that a spreadsheet would run as a formula has an apostrophe before it.

    Numbers stay as they are; `from_cell` undoes it.
    """
    formula = isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return f"'{value}" if formula else value


def from_cell(text: str) -> str:
    """Return text as it was before `as_cell`."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


@contextmanager
def made_folder(folder: Path, option: str, *, new: bool = False) -> Iterator[None]:
    """Make a folder and its parents, and see that files can be written there; what then stays empty is removed again.

    Args:
        folder: may be there already, unless `new`.
        option: the one that names another folder.
        new: nobody else may have made it.

    Raises:
        UsageError: it cannot be made or written to.
        FileExistsError: with `new`, it is there already.
    """
    made: list[Path] = []
    try:
        try:
            made = [path for path in (folder, *folder.parents) if not path.exists()]
            folder.mkdir(parents=True, exist_ok=not new)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            if new and isinstance(error, FileExistsError):
                made = []  # it is another's, who may not have written there yet
                raise
            raise UsageError(
                f"{folder}: cannot be written to ({error.strerror}). Name another folder with {option}."
            ) from error
        yield
    finally:
        _remove_empty(made)


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, the deepest first, up to one that something is in."""
    try:
        for folder in folders:
            folder.rmdir()
    except OSError:
        return


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; Windows cannot open a folder and needs no such thing."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
