"""The results of several runs as one: means, and how much figures move from run to run. Standard library only."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from metricface.contracts.results import JoinedReading, Reading, Result, Row, Spread, Value

_NONE = JoinedReading("")


def over_runs(runs: Sequence[Mapping[str, Result]]) -> dict[str, Result]:
    """Return the results of several runs, by evaluator, as one result for each evaluator.

    A figure becomes the mean over the runs that gave it, with its `Spread`. `n` and counts stay where all runs agree
    and are None otherwise. Intervals, confusion matrices, operating points and refusals are left out: they are in the
    report of each run.
    """
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: _result([run.get(name, Result()) for run in runs]) for name in names}


def _result(results: Sequence[Result]) -> Result:
    joined = [{reading.name: reading for reading in result.joined()} for result in results]
    names = dict.fromkeys(name for readings in joined for name in readings)
    return Result(
        tuple(
            reading for name in names for reading in _readings(name, [readings.get(name, _NONE) for readings in joined])
        )
    )


def _readings(name: str, runs: Sequence[JoinedReading]) -> list[Reading]:
    """Return one reading: the second one and further ones of the name hold its rows of other kinds."""
    reasons = dict.fromkeys(reason for run in runs for reason in run.counts)
    counts = {key: _agreed([run.counts[key] for run in runs if key in run.counts]) for key in reasons}
    tables = []
    for by in dict.fromkeys(by for run in runs for by in run.tables):
        of_runs = [run.tables.get(by, {}) for run in runs]
        rows = dict.fromkeys(row for table in of_runs for row in table)
        tables.append((by, tuple(Row(row, _figures([table.get(row, {}) for table in of_runs])) for row in rows)))
    (by, rows_of_first), *others = tables or [("condition", ())]
    whole = Reading(name, _figures([run.figures for run in runs]), rows_of_first, counts, by)
    return [whole, *(Reading(name, {}, rows, by=by) for by, rows in others)]


def _figures(runs: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    names = dict.fromkeys(name for figures in runs for name in figures)
    return {name: _figure([figures.get(name) for figures in runs]) for name in names}


def _figure(values: Sequence[Value | None]) -> Value:
    """Return the mean of the values that are there; at least one is. Units that differ make a plain number."""
    given = [value for value in values if value is not None]
    numbers = [value.value for value in given]
    deviation = statistics.stdev(numbers) if len(numbers) > 1 else None
    units = {value.unit for value in given}
    return Value(
        statistics.fmean(numbers),
        _agreed([value.n for value in given]),
        unit=given[0].unit if len(units) == 1 else "none",
        spread=Spread(deviation, tuple(None if value is None else value.value for value in values)),
    )


def _agreed(counts: Sequence[int | None]) -> int | None:
    """Return what all runs say, None where they differ."""
    return counts[0] if len(set(counts)) == 1 else None
