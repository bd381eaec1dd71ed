"""The lock of a run folder: one process at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metricface.errors import UsageError


@contextmanager
def held(path: Path, folder: Path) -> Iterator[None]:
    """Hold an advisory lock on `path`; the system lets go of it when the process ends, however it ends.

    Raises:
        UsageError: another process holds it; names `folder`.
    """
    with path.open("a") as file:
        if os.name == "nt":
            yield
            return
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"{folder}: another metricface is running there. Wait for it or name another --out."
            ) from error
        yield


def is_held(path: Path, folder: Path) -> bool:
    """Whether a process may be running in `folder`: one holds the lock, or the system cannot tell."""
    if not path.exists():
        return False
    try:
        with held(path, folder):
            return os.name == "nt"
    except (UsageError, OSError):
        return True
