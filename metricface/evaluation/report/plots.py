"""Plots of a run's journal, readable in grey."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metricface.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"))
_REACH = 10  # steps on each side that a smoothed loss is the mean of


def plot_losses(journal: Path, picture: Path) -> bool:
    """Draw every loss over the steps, raw and smoothed, as a PNG; return False where there is no step to draw."""
    steps = [event for event in _events(journal) if event["event"] == "step"]
    if not steps:
        return False
    figure, axes = _figure(
        f"Losses on the training batches, mean of {2 * _REACH + 1} steps (grey: every step)",
        "step",
        "loss (unweighted)",
    )
    numbers = [event["step"] for event in steps]
    apart = max(1, len(steps) // 10)
    for name, (line, marker) in zip(steps[0]["losses"], cycle(_STYLES), strict=False):
        values = [event["losses"][name] for event in steps]
        axes.plot(numbers, values, color="0.8", linewidth=0.8)
        axes.plot(numbers, _smooth(values), linestyle=line, marker=marker, markevery=apart, label=name)
    return _save(figure, axes, picture)


def plot_metrics(journal: Path, picture: Path) -> bool:
    """Draw rank-1 of every reading, and balanced accuracy, over the epochs as a PNG; return False without any."""
    evaluated = [event for event in _events(journal) if event["event"] == "evaluated"]
    curves: dict[str, list[tuple[int, float]]] = {}
    for event in evaluated:
        for evaluator, result in event["results"].items():
            if "balanced_accuracy" in result:
                point = (event["epoch"] + 1, 100 * result["balanced_accuracy"])
                curves.setdefault(f"{evaluator}, balanced accuracy (n = {result['n']})", []).append(point)
            for reading, values in result.items():
                if isinstance(values, dict) and "rank1" in values:
                    point = (event["epoch"] + 1, 100 * values["rank1"])
                    curves.setdefault(f"{evaluator}, {reading} rank-1 (n = {values['n']})", []).append(point)
    if not curves:
        return False
    figure, axes = _figure("Figures on the photos evaluated during training", "epoch", "%")
    for (name, points), (line, marker) in zip(curves.items(), cycle(_STYLES), strict=False):
        axes.plot(*zip(*points, strict=True), linestyle=line, marker=marker, label=name)
    axes.set_ylim(0, 102)
    return _save(figure, axes, picture)


def _events(journal: Path) -> list[dict[str, Any]]:
    if not journal.exists():
        return []
    return [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]


def _smooth(values: Sequence[float]) -> list[float]:
    """Return the mean of each value and its neighbours; fewer of them at the ends."""
    windows = (values[max(0, at - _REACH) : at + _REACH + 1] for at in range(len(values)))
    return [sum(window) / len(window) for window in windows]


def _figure(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(color="0.9")
    return figure, axes


def _save(figure: Figure, axes: Axes, picture: Path) -> bool:
    axes.legend()
    write_atomically(picture, lambda file: figure.savefig(file, format="png", dpi=120))
    return True
