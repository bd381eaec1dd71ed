"""The folder of one run: made, locked, its record kept, and read again, whole or damaged."""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from metricface.errors import MetricFaceError, NoModelError, UsageError
from metricface.evaluation.report.outcomes import read_outcomes
from metricface.files import made_folder, write_json, write_text
from metricface.recipe.schema import Recipe
from metricface.runs.lock import held, is_held
from metricface.runs.paths import MARKS, RunPaths
from metricface.runs.tables import Table, read_table, unreadable
from metricface.training.pace import Course

RUNNING, INTERRUPTED, FAILED, FINISHED = "running", "interrupted", "failed", "finished"  # as a record says
STOPPED, DAMAGED = "stopped", "damaged"  # as the folder shows
_MODEL_FILES = ("model.json", "model.safetensors")


@dataclass(frozen=True, slots=True)
class RunFolder(RunPaths):
    """Paths, readers and record of one run.

    Every reader gives an empty table, with its `problem`, for a file that is missing or cannot be read.

    Args:
        path: the folder itself.
        resumed: it was there already and the run goes on in it.
        made_up: nobody chose the name, so that it changes if another run takes it first.
    """

    resumed: bool = False
    made_up: bool = False

    def is_run(self) -> bool:
        """Whether there is a run, in however bad a state."""
        return any((self.path / mark).exists() for mark in MARKS)

    def has_begun(self) -> bool:
        """Whether training began in it, now or earlier; what has not is taken away at its end."""
        return self.resumed or "started" in self.record()

    def is_left_over(self) -> bool:
        """Whether it holds what a run makes first and nothing else, so that a new run can have the folder.

        A process that is killed before it writes the record leaves that.
        """
        first = {path.name for path in (self.lock_path, self.checkpoints, self.recipe_path)}
        there = {path.name for path in self.path.iterdir()}
        return self.lock_path.name in there <= first and not (
            self.checkpoints.is_dir() and any(self.checkpoints.iterdir())
        )

    def is_finished(self) -> bool:
        """Whether the record says so."""
        return self.record().get("status") == FINISHED

    def record(self) -> Table:
        """Return the record; one that does not say how the run ended has a problem, too."""
        record = read_table(self.record_path, json.loads)
        if not record.problem and not isinstance(record.get("status"), str):
            record.problem = f"{self.record_path.name} does not say how it ended"
        return record

    def recipe(self) -> Table:
        """Return the recipe as it stands, not checked."""
        return read_table(self.recipe_path, tomllib.loads)

    def report(self) -> Table:
        """Return the report."""
        return read_table(self.report_path, json.loads)

    def course(self) -> Course | None:
        """Return what its training consists of; None where record and recipe do not tell, as of an older run."""
        try:
            train, steps = self.recipe()["train"], int(self.record()["steps_per_epoch"])
            return Course(train["epochs"], steps, train["batch_size"], train["evaluate_every"]) if steps > 0 else None
        except (TypeError, ValueError, KeyError):
            return None

    def last_evaluation(self) -> Table:
        """Return `epoch` and `results` of the last evaluation that the journal tells of; empty before the first one."""
        from metricface.training.journal import read_journal  # takes torch along, which most readers do without

        try:
            evaluated = [event for event in read_journal(self.metrics_path) if event["event"] == "evaluated"]
            if not evaluated:
                return Table()
            return Table(epoch=int(evaluated[-1]["epoch"]), results=evaluated[-1]["results"])
        except FileNotFoundError:
            return Table()
        except (OSError, ValueError, TypeError, KeyError) as error:
            return unreadable(self.metrics_path, error)

    def outcomes_by_evaluator(self) -> dict[str, dict[str, list[str]]]:
        """Return the outcomes of every evaluator, column -> text of each row.

        Raises:
            DataError: a file is no table.
        """
        return read_outcomes(self.outcomes)

    def recorded_digest(self) -> str:
        """Return the digest of the recipe that the run began with; without a record, what its checkpoint says.

        Raises:
            UsageError: there is no run, or its record is damaged. ModelError: the checkpoint is.
        """
        record = self.record()
        digest = record.get("recipe_digest")
        if isinstance(digest, str):
            return digest
        name = self.record_path.name
        if not self.record_path.exists():
            if self.last_checkpoint.exists():
                from metricface.training.checkpoint import digest_of  # takes torch along

                return digest_of(self.last_checkpoint)
            raise UsageError(f"{self.path}: no run of MetricFace (no {name}). Name another --out.")
        problem = record.problem or f"{name} has no digest of a recipe"
        raise UsageError(f"{self.path}: {problem}. Put back a copy of it, or name another --out.")

    def status(self, record: Table) -> str:
        """Return the status of a record, "stopped" where that says running and no process is."""
        status = str(record.get("status"))
        return STOPPED if status == RUNNING and not self.in_use() else status

    def missing_model_files(self) -> list[str]:
        """Return what a finished run lacks of its model, as problems."""
        paths = (self.model / name for name in _MODEL_FILES)
        return [f"{path.relative_to(self.path).as_posix()} is missing" for path in paths if not path.is_file()]

    def check_has_model(self) -> None:
        """Refuse a run that has no model yet; what is no run at all is left to those who read models.

        Raises:
            NoModelError: names the command that finishes it.
        """
        if self.recipe_path.is_file() and not any(
            (folder / _MODEL_FILES[0]).is_file() for folder in (self.path, self.model)
        ):
            raise NoModelError(f"{self.path}: this run has no model yet. Finish it: {self.resume_line}")

    def in_use(self) -> bool:
        """Whether a process may be running in it: one holds the lock, or the system cannot tell."""
        return is_held(self.lock_path, self.path)

    def write_record(self, **changes: Any) -> dict[str, Any]:
        """Change keys of the record, None to take one out; return the whole."""
        changed = {**self.record(), **changes}
        record = {key: value for key, value in changed.items() if value is not None}
        write_json(self.record_path, record)
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
            stack.enter_context(held(folder.lock_path, folder.path))
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
            write_text(self.recipe_path, recipe.to_toml())
        self.write_record(name=recipe.run.name, seed=recipe.run.seed, recipe_digest=digest, status=RUNNING, error=None)

    def _end(self, error: BaseException) -> None:
        """Record an end before the end, or take away a new folder in which training never began."""
        if not self.has_begun():
            for path in (self.recipe_path, self.record_path, self.lock_path):
                path.unlink(missing_ok=True)
            self.checkpoints.rmdir()
        elif isinstance(error, KeyboardInterrupt) or (isinstance(error, MetricFaceError) and error.exit_code > 128):
            self.write_record(status=INTERRUPTED)
        else:
            said = str(error) if isinstance(error, MetricFaceError) else f"{type(error).__name__}: {error}"
            self.write_record(status=FAILED, error=said)


def now() -> str:
    """The time in UTC to the millisecond, ISO 8601: it orders runs that begin in one second."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
