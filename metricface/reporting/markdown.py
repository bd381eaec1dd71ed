"""report.md from report.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_SHOWN = {"rank1": "rank-1 %", "rank5": "rank-5 %", "precision": "precision %", "recall": "recall %", "f1": "F1 %"}
_CONDITIONS = (
    ("run", "run"),
    ("data", "data"),
    ("training", "training"),
    ("selection", "epoch reported"),
    ("model", "model"),
    ("device", "device"),
    ("precision", "precision"),
    ("recipe_digest", "recipe digest"),
    ("versions", "versions"),
    ("metricface", "metricface"),
)


def report_markdown(report: Mapping[str, Any]) -> str:
    """Return the report as Markdown: a table per reading, what was left out and why, and how it was made.

    Args:
        report: the document of report.json; everything but `results` may be missing.
    """
    lines: list[str] = []
    data = report.get("data", {})
    for evaluator, result in report["results"].items():
        on = f": {data['people']} people, {data['photos']} photos of {_text(data['split'])}" if data else ""
        lines += [f"# {_text(evaluator)}{on}", ""]
        for name, reading in _readings(result):
            lines += _reading(name, reading)
        for refusal in result.get("refusals", ()):
            lines.append(f"- not given: {_text(refusal['figure'])}, because {_text(refusal['reason'])}")
        if result.get("refusals"):
            lines.append("")
    notices = [f"- {_text(notice)}" for notice in report.get("notices", ())]
    conditions = [f"- {label}: {_text(_flat(report[key]))}" for key, label in _CONDITIONS if report.get(key)]
    if conditions or notices:
        lines += ["## How this was made", "", *conditions, *notices, ""]
    return "\n".join(lines).rstrip() + "\n"


def _readings(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the readings of a result; one without names is the result itself."""
    named = [(name, value) for name, value in result.items() if isinstance(value, Mapping) and not _is_rows(name)]
    return named or [("", result)]


def _is_rows(name: str) -> bool:
    return name.startswith("by_") or name == "counts"


def _reading(name: str, reading: Mapping[str, Any]) -> list[str]:
    """Return one table: a line for all probes, then one per condition or group."""
    by = next((key for key in reading if key.startswith("by_")), "")
    rows: dict[str, Mapping[str, Any]] = {"all": reading} if "n" in reading else {}
    rows.update(reading.get(by, {}))
    columns = list(dict.fromkeys(key for row in rows.values() for key in row if _is_figure(row, key)))
    lines = [f"## {_text(name)}", ""] if name else []
    if rows:
        header = [by.removeprefix("by_") or "over", "n", *(_SHOWN.get(key, f"{key} %") for key in columns)]
        lines += [_row(header), _row(["---", *["---:"] * (len(header) - 1)])]
        lines += [_row([label, str(row["n"]), *(_figure(row, key) for key in columns)]) for label, row in rows.items()]
        lines.append("")
    counts = [f"{_text(key.replace('_', ' '))} {value}" for key, value in reading.get("counts", {}).items()]
    return [*lines, f"Counts: {', '.join(counts)}.", ""] if counts else lines


def _is_figure(row: Mapping[str, Any], key: str) -> bool:
    return isinstance(row[key], float)


def _figure(row: Mapping[str, Any], key: str) -> str:
    """Return "98.2 (96.1 to 99.4)" in percent, or a dash where the row has no such figure."""
    if key not in row:
        return "-"
    interval = row.get(f"{key}_interval")
    bounds = f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})" if interval else ""
    return f"{100 * row[key]:.1f}{bounds}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_text(cell) for cell in cells) + " |"


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(inner)}" for key, inner in value.items() if inner is not None)
    return str(value)


def _text(value: Any) -> str:
    """Return text that cannot break a table or a line of Markdown."""
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")
