"""A picture of a benchmark of indexes: speed and size against identities lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metricface.contracts.results import Outcomes
from metricface.errors import counted
from metricface.evaluation.report.index_report import measured
from metricface.files import write_atomically
from metricface.functional.metrics.pareto import undominated

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = "osD^v<>PX*"


def plot_outcomes(outcomes: Outcomes, picture: Path) -> bool:
    """Draw the outcomes of the evaluator index-bench, as `plot_indexes`; False for those of another."""
    if "bytes_per_vector" not in outcomes:
        return False
    rows = [dict(zip(outcomes, values, strict=True)) for values in zip(*outcomes.values(), strict=True)]
    for row in rows:
        row["bytes_per_vector"] = row["bytes_per_vector"] or None
    most = max((float(row["max_loss"]) for row in rows), default=0)
    return plot_indexes(rows, "Indexes on the embeddings of val", picture, most)


def plot_indexes(rows: Sequence[Mapping[str, Any]], title: str, picture: Path, max_loss: float) -> bool:
    """Draw queries per second and bytes per vector against identities lost, as a PNG; False where nothing was measured.

    A line joins what no other point beats. Rows of the most threads are drawn.

    Args:
        rows: of `metricface index bench`.
        title: of the picture.
        picture: the file.
        max_loss: share of identities that may be lost, drawn as a dotted line.
    """
    found = measured(rows)
    most = max((row["threads"] for row in found), default=0)
    found = [row for row in found if row["threads"] == most]
    if not found:
        return False
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    figure.suptitle(title)
    speed = f"queries per second in batches, {counted(most, 'thread', 'threads')}"
    for place, key, label, sign in ((1, "qps", speed, 1), (2, "bytes_per_vector", "bytes per vector", -1)):
        axes = figure.add_subplot(1, 2, place)
        _draw(axes, [row for row in found if row[key] is not None], key, sign)
        axes.set(xlabel="identities lost against exact search, %", ylabel=label, yscale="log")
        axes.set_xscale("symlog", linthresh=0.1)
        axes.axvline(100 * max_loss, color="0.5", linestyle=":", linewidth=1)
        axes.grid(visible=True, alpha=0.3)
    figure.axes[0].legend(fontsize="small")
    write_atomically(picture, lambda file: figure.savefig(file, format="png", dpi=120))
    return True


def _draw(axes: Axes, rows: Sequence[Mapping[str, Any]], key: str, sign: int) -> None:
    """Draw a point for each row, and a line through those that no other beats; `sign` is 1 where more is better."""
    lost = np.array([100 * row["rank1_lost"] for row in rows])
    values = np.array([row[key] for row in rows], np.float64)
    for name, marker in zip(dict.fromkeys(row["index"] for row in rows), cycle(_MARKERS), strict=False):
        own = np.array([row["index"] == name for row in rows])
        axes.plot(lost[own], values[own], marker, label=name, alpha=0.8, markersize=6)
    front = np.flatnonzero(undominated(np.stack([-lost, sign * values], axis=1))) if len(rows) else np.empty(0, int)
    front = front[np.lexsort((values[front], lost[front]))]
    axes.plot(lost[front], values[front], color="0.5", linewidth=1, zorder=0)
