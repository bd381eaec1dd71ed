"""Plots of a run's journal, readable in grey."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metricface.contracts.results import Result, Unit, Value
from metricface.evaluation.report.figures import figure_name
from metricface.evaluation.stored_results import read_results
from metricface.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"))
_Y: dict[Unit, str] = {"share": "%", "cosine": "cosine", "count": "count", "seconds": "seconds", "none": "value"}
_BALANCED = "balanced_accuracy"
_REACH = 10  # steps on each side that a smoothed loss is the mean of


def plot_losses(journal: Path, picture: Path) -> bool:
    """Draw every loss over the steps, raw and smoothed, as a PNG; return False where there is no step to draw."""
    steps = [event for event in _events(journal) if event["event"] == "step"]
    if not steps:
        return False
    figure, (axes,) = _figure(
        f"Losses on the training batches, mean of {2 * _REACH + 1} steps (grey: every step)",
        "step",
        ["loss (unweighted)"],
    )
    numbers = [event["step"] for event in steps]
    apart = max(1, len(steps) // 10)
    for name, (line, marker) in zip(steps[0]["losses"], cycle(_STYLES), strict=False):
        values = [event["losses"][name] for event in steps]
        axes.plot(numbers, values, color="0.8", linewidth=0.8)
        axes.plot(numbers, _smooth(values), linestyle=line, marker=marker, markevery=apart, label=name)
    return _save(figure, [axes], picture)


def plot_metrics(journal: Path, picture: Path) -> bool:
    """Draw the leading figure of every reading over the epochs as a PNG; return False without any.

    Of an evaluator with headline figures, readings without a name, these alone are drawn. Shares are in percent; other
    units have a field of their own below.
    """
    curves: dict[Unit, dict[str, list[tuple[int, float]]]] = {}
    for event in _events(journal):
        if event["event"] == "evaluated":
            for evaluator, result in read_results(event["results"]).items():
                for reading, key, value in _leading(result):
                    name = f"{evaluator}, {' '.join(filter(None, (reading, figure_name(key))))} (n = {value.n})"
                    points = curves.setdefault(value.unit, {}).setdefault(name, [])
                    points.append((event["epoch"] + 1, 100 * value.value if value.unit == "share" else value.value))
    if not curves:
        return False
    figure, fields = _figure("Figures on the photos evaluated during training", "epoch", [_Y[unit] for unit in curves])
    for axes, (unit, lines) in zip(fields, curves.items(), strict=True):
        for (name, points), (line, marker) in zip(lines.items(), cycle(_STYLES), strict=False):
            axes.plot(*zip(*points, strict=True), linestyle=line, marker=marker, label=name)
        if unit == "share":
            axes.set_ylim(0, 102)
    return _save(figure, fields, picture)


def _leading(result: Result) -> list[tuple[str, str, Value]]:
    """Return the figure of each reading that stands for it: reading, name and figure.

    It is balanced accuracy where there is one, which a frequent class cannot hide in, else the first share, else the
    first figure.
    """
    readings = [reading for reading in result.joined() if reading.figures]
    headline = [reading for reading in readings if not reading.name]
    found = []
    for reading in headline or readings:
        shares = [key for key, figure in reading.figures.items() if figure.unit == "share"]
        key = _BALANCED if _BALANCED in shares else (shares or list(reading.figures))[0]
        found.append((reading.name, key, reading.figures[key]))
    return found


def _events(journal: Path) -> list[dict[str, Any]]:
    if not journal.exists():
        return []
    return [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]


def _smooth(values: Sequence[float]) -> list[float]:
    """Return the mean of each value and its neighbours; fewer of them at the ends."""
    windows = (values[max(0, at - _REACH) : at + _REACH + 1] for at in range(len(values)))
    return [sum(window) / len(window) for window in windows]


def _figure(title: str, x: str, ys: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Return a figure with one field above the other for each label of a vertical axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4.2 * len(ys)), layout="constrained")
    FigureCanvasAgg(figure)
    fields: list[Axes] = [figure.add_subplot(len(ys), 1, place) for place in range(1, len(ys) + 1)]
    fields[0].set_title(title)
    for axes, y in zip(fields, ys, strict=True):
        axes.set(xlabel=x, ylabel=y)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(color="0.9")
    return figure, fields


def _save(figure: Figure, fields: Sequence[Axes], picture: Path) -> bool:
    for axes in fields:
        axes.legend()
    write_atomically(picture, lambda file: figure.savefig(file, format="png", dpi=120))
    return True
