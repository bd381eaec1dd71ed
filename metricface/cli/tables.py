"""Tables on stdout: drawn on a terminal, tab-separated into a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table

from metricface.cli.render import made_console
from metricface.files import printable

if TYPE_CHECKING:
    from metricface.cli.doctor_checks import Finding
    from metricface.components.provenance import Provenance

_PACKAGE_WIDTH = 20
_NARROWEST, _ANY_WIDTH = 12, 10_000  # columns of the screen
_STYLES = {"BROKEN": "bold red", "ambiguous": "yellow", "problem": "bold red", "note": "yellow"}


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, copied: bool = False) -> None:
    """Print a table on stdout: drawn on a terminal, tab-separated into a pipe.

    Args:
        columns: their headings.
        rows: a cell for each column.
        copied: the first column is what one copies, and never broken; where a terminal has no room for that, each row
            is a line with the first cell and one with the others.
    """
    console = made_console()
    if not console.is_terminal:
        print("\n".join("\t".join(row) for row in (columns, *rows)))
        return
    shown = [[printable(cell) for cell in row] for row in rows]
    drawn = Table()
    for number, column in enumerate(columns):
        widest = max(cell_len(row[number]) for row in (columns, *shown))
        whole = copied and number == 0
        drawn.add_column(column, no_wrap=whole, min_width=widest if whole else min(widest, _NARROWEST))
    for row in shown:
        drawn.add_row(*map(escape, row))
    if not copied or drawn.__rich_measure__(console, console.options.update(width=_ANY_WIDTH)).minimum <= console.width:
        console.print(drawn)
        return
    for first, *others in shown:
        console.print(first, style="bold", markup=False, highlight=False, soft_wrap=True)
        told = ", ".join(f"{column} {cell}" for column, cell in zip(columns[1:], others, strict=True))
        console.print(f"  {told}", markup=False, highlight=False, soft_wrap=True)


def show_components(found: Sequence[Provenance]) -> None:
    """Print components on stdout: under their kinds on a terminal, tab-separated into a pipe."""
    console = made_console()
    if not console.is_terminal:
        columns = ("kind", "name", "status", "package", "summary")
        table(
            columns, [(c.kind, c.name, c.status, f"{c.distribution} {c.version}", c.reason or c.summary) for c in found]
        )
        return
    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(no_wrap=True)
    drawn.add_column(max_width=_PACKAGE_WIDTH, overflow="fold")
    drawn.add_column(ratio=1)
    kind = None
    for component in found:
        if component.kind != kind:
            kind = component.kind
            drawn.add_row(f"[bold]{kind}[/]")
        package = f"{component.distribution} {component.version}"
        note = f"{component.status}: {component.reason}" if component.reason else component.summary
        style = _STYLES.get(component.status)
        drawn.add_row(f"  {escape(component.name)}", escape(package), escape(note), style=style)
    console.print(drawn)


def show_findings(findings: Sequence[Finding]) -> None:
    """Print what the doctor found on stdout, a line each under its heading; lines to paste are never broken."""
    console = made_console(highlight=False, soft_wrap=True)
    width = max(len(finding.what) for finding in findings)
    heading = None
    for finding in findings:
        if finding.about != heading:
            heading = finding.about
            console.print(heading, style="bold", markup=False)
        mark = "" if finding.status == "good" else f"{finding.status}: "
        console.print(
            f"  {finding.what:<{width}}  {mark}{finding.found}", style=_STYLES.get(finding.status), markup=False
        )
        if finding.remedy:
            console.print(f"  {'':<{width}}  {finding.remedy}", markup=False)
    problems = sum(finding.status == "problem" for finding in findings)
    console.print(f"{problems} problem{'s' * (problems != 1)} found" if problems else "all is well", style="bold")
