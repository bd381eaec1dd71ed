"""metricface compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from metricface.evaluation.comparison import Difference


def compare(
    a: Annotated[
        Path,
        typer.Argument(
            metavar="RUN_A",
            help="A run folder, or one of several seeds: seeds.json, or seed-0/, ...",
            show_default=False,
        ),
    ],
    b: Annotated[Path, typer.Argument(metavar="RUN_B", help="The other one, on the same probes.", show_default=False)],
    samples: Annotated[int, typer.Option(min=1, help="Bootstrap samples.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as one JSON document.")] = False,
) -> None:
    """Compare two runs probe by probe: differences B - A with intervals over people, and the keys of the recipes.

    Figures of several seeds are averaged first. Every bootstrap sample draws the same people for both sides.
    """
    from metricface.cli.tables import table
    from metricface.runs.compare import compare_runs

    comparison = compare_runs(a, b, samples=samples, seed=seed)
    if as_json:
        print(json.dumps(comparison.to_json(), indent=2))
        return
    table(
        ("evaluator", "reading", "over", "figure", "n", "people", "A %", "B %", "B - A (95 % interval)", "p"),
        [_cells(found) for found in comparison.differences],
    )
    print(f"\nA: {', '.join(map(str, comparison.runs[0]))}\nB: {', '.join(map(str, comparison.runs[1]))}")
    for key, (ours, theirs) in comparison.keys.items():
        print(f"{key}: {_values(ours)} -> {_values(theirs)}")
    for note in comparison.notes:
        print(note)


def _cells(found: Difference) -> tuple[str, ...]:
    """Return one row of the table, figures in percent."""
    names = (found.evaluator, found.reading, found.row, found.figure, str(found.n), str(found.people))
    difference, p = f"{100 * found.difference:+.2f}", "-"
    if found.interval is not None and found.p is not None:
        low, high = found.interval
        difference, p = f"{difference} ({100 * low:+.2f} to {100 * high:+.2f})", f"{found.p:.2g}"
    return (*names, f"{100 * found.a:.2f}", f"{100 * found.b:.2f}", difference, p)


def _values(values: list[Any]) -> str:
    """Return the values of a key in the runs of one side."""
    return ", ".join("absent" if value is None else _value(value) for value in values)


def _value(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)
