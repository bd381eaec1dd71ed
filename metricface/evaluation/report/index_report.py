"""What a benchmark of indexes says: rows, which of them no other beats, and a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from metricface.functional.metrics.pareto import undominated

ENOUGH = 50_000
"""Vectors below which exact search is quick enough for nearly everybody."""

COLUMNS = (
    "index",
    "search",
    "threads",
    "train s",
    "add s",
    "bytes/vector",
    "MiB",
    "QPS (batch)",
    "p50 / p95 / p99 ms (single)",
    "recall@1",
    "recall@10 (p5, worst)",
    "rank-1 lost % (95 %)",
    "TPIR lost %",
)

Row = Mapping[str, Any]


def measured(rows: Iterable[Row]) -> list[Row]:
    """Return the rows with figures."""
    return [row for row in rows if "skipped" not in row]


def cells(row: Row) -> tuple[str, ...]:
    """Return a row as text, a cell for each of COLUMNS."""
    named = ", ".join(f"{name} {value}" for name, value in row["parameters"].items()) or "-"
    if "skipped" in row:
        return (row["index"], f"skipped: {row['skipped']}", *[""] * (len(COLUMNS) - 2))
    resident = row["resident_bytes"]
    return (
        row["index"],
        named,
        str(row["threads"]),
        f"{row['train_s']:.2f}",
        f"{row['add_s']:.2f}",
        "-" if row["bytes_per_vector"] is None else f"{row['bytes_per_vector']:.0f}",
        "-" if resident is None else f"{resident / 2**20:.0f}",
        f"{row['qps']:.0f} ({row['qps_spread'][0]:.0f} to {row['qps_spread'][1]:.0f})",
        f"{row['p50_ms']:.2f} / {row['p95_ms']:.2f} / {row['p99_ms']:.2f}",
        f"{row['recall@1']:.4f}",
        f"{row['recall@10']:.4f} ({row['recall@10_p5']:.2f}, {row['recall@10_worst']:.2f})",
        _percent(row["rank1_lost"], row["rank1_lost_interval"]),
        _percent(row["tpir_lost"], None) if "tpir_lost" in row else "-",
    )


def best(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that no other beats in speed, size and identities lost at once, of the most threads."""
    found = measured(rows)
    most = max((row["threads"] for row in found), default=0)
    found = [row for row in found if row["threads"] == most]
    points = [(row["qps"], -(row["bytes_per_vector"] or np.inf), -row["rank1_lost"]) for row in found]
    if not points:
        return []
    return [row for row, kept in zip(found, undominated(np.array(points, np.float64)), strict=True) if kept]


def verdict(rows: Sequence[Row], vectors: int, max_loss: float) -> str:
    """Return a sentence: the smallest and the fastest index that lose no more identities than that.

    Args:
        rows: of `bench`.
        vectors: in the gallery.
        max_loss: share of mated probes, for instance 0.005.
    """
    found = measured(rows)
    if not found:
        return "Nothing could be measured: the rows say why."
    most = max(row["threads"] for row in found)
    found = [row for row in found if row["threads"] == most]
    within = [row for row in found if row["rank1_lost"] <= max_loss]
    said = f"No index loses {100 * max_loss:g} % of the identities or less."
    if within:
        sized = [row for row in within if row["bytes_per_vector"] is not None]
        fastest = max(within, key=lambda row: row["qps"])
        smallest = min(sized, key=lambda row: (row["bytes_per_vector"], -row["qps"]), default=fastest)
        said = (
            f"Losing at most {100 * max_loss:g} % of the identities (rank-1, of {found[0]['probes']:,} probes), the "
            f"smallest is {_named(smallest)} and the fastest {_named(fastest)}."
        )
    if vectors >= ENOUGH:
        return said
    exact = [row for row in found if row["index"] in ("exact", "flat")]
    quick = ""
    if exact:
        quick = f": {exact[0]['p99_ms']:.2f} ms at p99 for one photo, {exact[0]['qps']:.0f} a second in batches"
    return f"For {vectors:,} vectors exact search is enough{quick}, and it loses nobody. {said}"


def _named(row: Row) -> str:
    search = ", ".join(f"{name} {value}" for name, value in row["parameters"].items())
    size = "" if row["bytes_per_vector"] is None else f"{row['bytes_per_vector']:.0f} bytes a vector, "
    lost = f"{100 * row['rank1_lost']:.2f} % lost"
    return f"{row['index']}{f' ({search})' if search else ''} with {size}{row['qps']:.0f} queries/s, {lost}"


def parts(rows: Sequence[Row], by: str) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of the identities lost by "condition" or "margin", of the rows that no other beats."""
    shown = best(rows)
    names = list(dict.fromkeys(name for row in shown for name in row[f"by_{by}"]))
    table = [
        [
            row["index"],
            ", ".join(f"{name} {value}" for name, value in row["parameters"].items()) or "-",
            *(
                _percent(part["rank1_lost"], part["rank1_lost_interval"])
                if (part := row[f"by_{by}"].get(name))
                else "-"
                for name in names
            ),
        ]
        for row in shown
    ]
    return ["index", "search", *names], table


def markdown(rows: Sequence[Row], about: Mapping[str, Any], sentence: str) -> str:
    """Return all of it as Markdown."""
    lines = [
        "# Indexes",
        "",
        sentence,
        "",
        f"Conditions: {', '.join(f'{key} {value}' for key, value in about.items())}.",
    ]
    lines += ["", *_table(COLUMNS, [cells(row) for row in rows])]
    for by in ("condition", "margin"):
        headings, table = parts(rows, by)
        if table:
            lines += ["", f"## Identities lost by {by}, % (95 % interval over people)", "", *_table(headings, table)]
    return "\n".join(lines) + "\n"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings), *rows)]


def _percent(share: float, interval: Sequence[float] | None) -> str:
    text = f"{100 * share:.2f}"
    return text if interval is None else f"{text} ({100 * interval[0]:.2f} to {100 * interval[1]:.2f})"
