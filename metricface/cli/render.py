"""What the user sees: everything that uses rich, or decides between a terminal and a pipe."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from metricface.cli.options import options, plain
from metricface.files import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from metricface.contracts import Result

SECONDS_BETWEEN_LINES = 10.0


class _Count(MofNCompleteColumn):
    """ "3/10"; nothing for training, whose description says it."""

    def render(self, task: Task) -> Text:
        return Text() if "left" in task.fields else super().render(task)


class _Elapsed(TimeElapsedColumn):
    """The time taken; nothing for training, which needs the room."""

    def render(self, task: Task) -> Text:
        return Text() if "left" in task.fields else super().render(task)


class _Left(TimeRemainingColumn):
    """The time left: what the task says of it, else rich's estimate."""

    def render(self, task: Task) -> Text:
        left = task.fields.get("left")
        return super().render(task) if left is None else Text(left)


class Screen:
    """Progress and notices on stderr: live bars with the time left on a terminal, plain lines into a pipe.

    With --quiet it shows nothing.
    """

    def __init__(self) -> None:
        self._console = made_console(stderr=True, highlight=False, quiet=options().quiet)
        self._live = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            _Count(),
            _Elapsed(),
            TextColumn("left"),
            _Left(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal or self._console.quiet,
        )
        self._training: TaskID | None = None

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Show one line, whole, above the bars."""
        self._console.print(printable(text), markup=False, soft_wrap=True)

    def progress(self, what: str) -> Callable[[int, int], None]:
        """Return a callback (done, total) that draws a bar, or prints a line now and then."""
        return self._bar(what) if self._console.is_terminal else self._lines(what)

    @property
    def is_live(self) -> bool:
        """Whether there are bars, as on a terminal."""
        return self._console.is_terminal

    def draw_training(self, text: str, done: int, total: int, left: str) -> None:
        """Draw the bar of training.

        Args:
            text: where it stands.
            done: steps.
            total: steps of all epochs.
            left: the time to the end; rich's own knows nothing of evaluations.
        """
        if self._training is None:
            self._training = self._live.add_task("", total=total, left=left)
        self._live.update(self._training, description=escape(text), completed=done, left=left)

    def end_training(self) -> None:
        """Take the bar of training away, if there is one."""
        if self._training is not None:
            self._live.remove_task(self._training)
            self._training = None

    def _bar(self, what: str) -> Callable[[int, int], None]:
        task = None

        def show(done: int, total: int) -> None:
            nonlocal task
            if task is None:
                task = self._live.add_task(escape(printable(what)), total=total)
            self._live.update(task, completed=done)
            if done >= total:
                self._live.remove_task(task)
                task = None

        return show

    def _lines(self, what: str) -> Callable[[int, int], None]:
        started = printed = time.monotonic()
        first: int | None = None

        def show(done: int, total: int) -> None:
            nonlocal printed, first
            now = time.monotonic()
            if first is None:
                first = done
            if done < total and now - printed < SECONDS_BETWEEN_LINES:
                return
            if done == total and now - started < SECONDS_BETWEEN_LINES / 2:
                return
            printed = now
            left = (total - done) * (now - started) / max(done - first, 1)
            self.say(f"{what}: {done} of {total}" + (f", {left:.0f} s left" if done < total else ""))

        return show


def headline(name: str, result: Result) -> str:
    """Return an evaluator's top figures in one phrase: "identification same-source rank1 98.2 %, cross-source ...".

    An evaluator that has headline figures of its own, beside its readings, shows the first two of them.
    """
    from metricface.evaluation.report.figures import in_unit

    readings = result.joined()
    own = [(key, figure) for reading in readings if not reading.name for key, figure in reading.figures.items()][:2]
    first = own or [
        (f"{reading.name} {key}", figure) for reading in readings for key, figure in list(reading.figures.items())[:1]
    ]
    return f"{name} {', '.join(f'{what} {in_unit(figure)}' for what, figure in first)}"


def show_report(results: Mapping[str, Result], about: Mapping[str, Any]) -> None:
    """Print a report on stdout; `about` is what the document of a report says besides the results."""
    from metricface.evaluation.report.markdown import report_markdown

    show_markdown(report_markdown(results, about))


def show_markdown(text: str) -> None:
    """Print Markdown on stdout: drawn on a terminal, as it is into a pipe."""
    console = made_console()
    if not console.is_terminal:
        print(text)
        return
    from rich.markdown import Markdown

    console.print(Markdown(printable(text)))


def made_console(**settings: Any) -> Console:
    """Return a console that prints no escapes where none are wanted; rich itself would keep bold type."""
    return Console(color_system=None if plain() else "auto", **settings)
