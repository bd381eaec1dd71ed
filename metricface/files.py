"""Writing files so that a reader, or a power cut, never finds half of one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from metricface.errors import UsageError


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
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
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
    """Write UTF-8 text atomically."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: Path, document: Any) -> None:
    """Write JSON atomically, two spaces deep; NaN and infinity are refused (ValueError)."""
    write_text(path, json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


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
