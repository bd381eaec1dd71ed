"""The folder of one run: made, locked, and its record kept."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metricface.errors import MetricFaceError, UsageError
from metricface.files import made_folder, write_json, write_text
from metricface.recipe.schema import Recipe

RUNNING, INTERRUPTED, FAILED, FINISHED = "running", "interrupted", "failed", "finished"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths and record of one run.

    Args:
        path: the folder itself.
        resumed: it was there already and the run goes on in it.
        made_up: nobody chose the name, so that it changes if another run takes it first.
    """

    path: Path
    resumed: bool = False
    made_up: bool = False

    @property
    def checkpoints(self) -> Path:
        """Holds last.pt and best.pt."""
        return self.path / "checkpoints"

    def record(self) -> dict[str, Any]:
        """Return run.json, or {} where there is none that can be read."""
        return read_record(self.path)

    def in_use(self) -> bool:
        """Whether a process may be running in it: one holds the lock, or the system cannot tell."""
        lock = self.path / "run.lock"
        if not lock.exists():
            return False
        try:
            with _lock(lock, self.path):
                return os.name == "nt"
        except (UsageError, OSError):
            return True

    def write_record(self, **changes: Any) -> dict[str, Any]:
        """Change keys of run.json, None to take one out; return the whole."""
        changed = {**self.record(), **changes}
        record = {key: value for key, value in changed.items() if value is not None}
        write_json(self.path / "run.json", record)
        return record

    @contextmanager
    def open(self, recipe: Recipe) -> Iterator[RunFolder]:
        """Make the folder, hold its lock, and record how the block ended; yield the folder under its final name.

        A new folder in which training never began is taken away again.

        Raises:
            UsageError: it cannot be made, or another process is running in it.
        """
        with ExitStack() as stack:
            folder = self._made(stack)
            stack.enter_context(_lock(folder.path / "run.lock", folder.path))
            try:
                folder._describe(recipe)
                yield folder
                folder.write_record(status=FINISHED, finished=now())
            except BaseException as error:
                with suppress(OSError):  # a full disk must not hide what went wrong before
                    folder._end(error)
                raise

    def _made(self, stack: ExitStack) -> RunFolder:
        """Make the folder; a name that was made up gets a number if another run has it already."""
        for number in itertools.count(1):
            path = self.path if number == 1 else self.path.with_name(f"{self.path.name}-{number}")
            with suppress(FileExistsError):
                stack.enter_context(made_folder(path, "--out", new=self.made_up))
                break
        return replace(self, path=path)

    def _describe(self, recipe: Recipe) -> None:
        """Write recipe and record. A resumed run keeps its own: its checkpoints are of that recipe's digest."""
        self.checkpoints.mkdir(exist_ok=True)
        digest = self.record().get("recipe_digest", recipe.digest)
        if digest == recipe.digest:
            write_text(self.path / "recipe.toml", recipe.to_toml())
        self.write_record(name=recipe.run.name, seed=recipe.run.seed, recipe_digest=digest, status=RUNNING, error=None)

    def _end(self, error: BaseException) -> None:
        """Record an end before the end, or take away a new folder in which training never began."""
        if not self.resumed and "started" not in self.record():
            for name in ("recipe.toml", "run.json", "run.lock"):
                (self.path / name).unlink(missing_ok=True)
            self.checkpoints.rmdir()
        elif isinstance(error, KeyboardInterrupt) or (isinstance(error, MetricFaceError) and error.exit_code > 128):
            self.write_record(status=INTERRUPTED)
        else:
            said = str(error) if isinstance(error, MetricFaceError) else f"{type(error).__name__}: {error}"
            self.write_record(status=FAILED, error=said)


def now() -> str:
    """The time in UTC to the millisecond, ISO 8601: it orders runs that begin in one second."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def read_record(folder: Path) -> dict[str, Any]:
    """Return run.json, {} where it cannot be read."""
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


@contextmanager
def _lock(path: Path, folder: Path) -> Iterator[None]:
    """Hold an advisory lock on `path`; the system lets go of it when the process ends, however it ends."""
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
