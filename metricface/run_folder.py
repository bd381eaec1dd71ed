"""The folder of one run: found or made, locked, and its record kept."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metricface.errors import MetricFaceError, UsageError
from metricface.files import write_json, write_text
from metricface.recipe.schema import Recipe

RUNNING, INTERRUPTED, FAILED, FINISHED = "running", "interrupted", "failed", "finished"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths and record of one run.

    Args:
        path: the folder itself.
        resumed: it was there already and the run goes on in it.
    """

    path: Path
    resumed: bool = False

    @property
    def checkpoints(self) -> Path:
        """Holds last.pt and best.pt."""
        return self.path / "checkpoints"

    def record(self) -> dict[str, Any]:
        """Return run.json, or {} where there is none that can be read."""
        return _read_record(self.path)

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
        """Change keys of run.json; return the whole."""
        record = {**self.record(), **changes}
        write_json(self.path / "run.json", record)
        return record

    @contextmanager
    def open(self, recipe: Recipe) -> Iterator[None]:
        """Make the folder, hold its lock, and record how the block ended.

        Raises:
            UsageError: another process is running in it.
        """
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        with _lock(self.path / "run.lock", self.path):
            write_text(self.path / "recipe.toml", recipe.to_toml())
            self.write_record(name=recipe.run.name, seed=recipe.run.seed, recipe_digest=recipe.digest, status=RUNNING)
            try:
                yield
            except KeyboardInterrupt:
                self.write_record(status=INTERRUPTED)
                raise
            except MetricFaceError as error:
                ended = INTERRUPTED if error.exit_code > 128 else FAILED
                self.write_record(status=ended, error=None if ended == INTERRUPTED else str(error))
                raise
            except BaseException as error:
                self.write_record(status=FAILED, error=f"{type(error).__name__}: {error}")
                raise
            self.write_record(status=FINISHED, finished=now())


def choose_folder(recipe: Recipe, out: Path | None, *, resume: bool) -> RunFolder:
    """Return the folder to run in; nothing is made or written yet.

    Args:
        recipe: with `resume`, only a run of an equal recipe is gone on with.
        out: the run folder itself; None makes one up under runs/<name>/, or with `resume` takes the newest unfinished.
        resume: go on with a run that is there.

    Raises:
        UsageError: `out` is in use already, or holds another recipe's run.
    """
    if out is None:
        base = Path("runs") / recipe.run.name
        unfinished = [folder for folder in _runs(base, recipe) if _read_record(folder)["status"] != FINISHED]
        if resume and unfinished:
            return RunFolder(unfinished[-1], resumed=True)
        return RunFolder(_fresh(base, recipe))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if not resume:
            raise UsageError(f"{out}: there is something there already. Name another --out, or go on with --resume.")
        digest = _read_record(out).get("recipe_digest")
        if digest is None:
            raise UsageError(f"{out}: no run of MetricFace (no run.json). Name another --out.")
        if digest != recipe.digest:
            raise UsageError(
                f"{out}: holds the run of another recipe or other --set values. "
                f"Go on with its own: metricface run {out / 'recipe.toml'} --out {out} --resume"
            )
        return RunFolder(out, resumed=True)
    return RunFolder(out)


def find_finished(recipe: Recipe, out: Path | None) -> Path | None:
    """Return the newest finished run of an equal recipe: `out` itself, or under runs/<name>/ where that is None."""
    folders = _runs(Path("runs") / recipe.run.name, recipe)
    if out is not None:
        folders = [out] if _read_record(out).get("recipe_digest") == recipe.digest else []
    finished = [folder for folder in folders if _read_record(folder).get("status") == FINISHED]
    return finished[-1] if finished else None


def now() -> str:
    """The time in UTC to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _runs(base: Path, recipe: Recipe) -> list[Path]:
    """Return the folders of earlier runs of an equal recipe, oldest first (their names begin with the time)."""
    if not base.is_dir():
        return []
    return sorted(folder for folder in base.iterdir() if _read_record(folder).get("recipe_digest") == recipe.digest)


def _fresh(base: Path, recipe: Recipe) -> Path:
    """Return a folder name that nobody uses: the time, the recipe's hash, and a number if that is taken."""
    stem = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{recipe.digest[:4]}"
    number = 1
    while (folder := base / (stem if number == 1 else f"{stem}-{number}")).exists():
        number += 1
    return folder


def _read_record(folder: Path) -> dict[str, Any]:
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
