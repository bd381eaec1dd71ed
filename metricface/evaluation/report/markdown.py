"""Documents as Markdown: report.md from report.json, seeds.md from seeds.json, and a run as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metricface.evaluation.report.figures import is_figure, readings

_SHOWN = {
    "rank1": "rank-1",
    "rank5": "rank-5",
    "f1": "F1",
    "auroc": "AUROC",
    "ece": "ECE",
    "ece_after_temperature": "ECE after temperature",
}
_PLAIN = "by_similarity"
_CONDITIONS = (
    ("run", "run"),
    ("seeds", "seeds"),
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
        report: the document of report.json or seeds.json; everything but `results` may be missing.
    """
    lines: list[str] = []
    if "seeds" in report:
        runs = len(report["seeds"])
        lines += [f"Mean ± standard deviation (n - 1) over {runs} runs." if runs > 1 else "A single run.", ""]
    data = report.get("data", {})
    for evaluator, result in report["results"].items():
        on = f": {_counted(data)} of {_text(data['split'])}" if data else ""
        lines += [f"# {_text(evaluator)}{on}", ""]
        for name, reading in readings(result):
            lines += _reading(name, reading)
        for point in result.get("operating_points", ()):
            lines += [_operating_point(point), ""]
        for refusal in result.get("refusals", ()):
            lines.append(f"- not given: {_text(refusal['figure'])}, because {_text(refusal['reason'])}")
        if result.get("refusals"):
            lines.append("")
    notices = [f"- {_text(notice)}" for notice in report.get("notices", ())]
    # How the epoch was chosen stands beside the model already.
    model = {key: value for key, value in report.get("model", {}).items() if key != "selection"}
    shown = {**report, "model": model}
    conditions = [f"- {label}: {_text(_flat(shown[key]))}" for key, label in _CONDITIONS if shown.get(key)]
    if conditions or notices:
        lines += ["## How this was made", "", *conditions, *notices, ""]
    return "\n".join(lines).rstrip() + "\n"


def run_markdown(run: Mapping[str, Any], recipe: str, report: str) -> str:
    """Return a run as Markdown: how it stands, its record, its recipe and its report.

    Args:
        run: `folder`, `status`, `problems` and `record`, the document of run.json.
        recipe: the text of recipe.toml, "" where there is none.
        report: the text of report.md, "" where there is none.
    """
    lines = [f"# {_text(run['folder'])}: {_text(run['status'])}", ""]
    lines += [f"- problem: {_text(problem)}" for problem in run["problems"]]
    lines += [f"- {_text(key)}: {_text(_flat(value))}" for key, value in run["record"].items() if value is not None]
    lines += ["", "## Recipe", "", "```toml", recipe.strip(), "```"] if recipe else []
    return "\n".join([*lines, "", report]).rstrip() + "\n"


def _reading(name: str, reading: Mapping[str, Any]) -> list[str]:
    """Return tables: a line for all probes and one per condition or group, and who was taken for whom."""
    lines = [f"## {_text(name)}", ""] if name else []
    first, *others = [key for key in reading if key.startswith("by_")] or ["by_over"]
    whole: Mapping[str, Any] = {"all": reading} if "n" in reading else {}
    lines += _table(first, {**whole, **reading.get(first, {})})
    for by in others:
        lines += _table(by, reading[by])
    if "confusion" in reading:
        taken_for = list(reading["confusion"])
        cells = [[name, *(str(row[other]) for other in taken_for)] for name, row in reading["confusion"].items()]
        lines += [*_grid(["photos of", *(f"taken for {other}" for other in taken_for)], cells), ""]
    counts = [f"{_text(key.replace('_', ' '))} {_count(value)}" for key, value in reading.get("counts", {}).items()]
    return [*lines, f"Counts: {', '.join(counts)}.", ""] if counts else lines


def _table(by: str, rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a table of figures, one line per row; nothing for no rows."""
    if not rows:
        return []
    columns = list(dict.fromkeys(key for row in rows.values() for key in row if is_figure(row[key])))
    unit = "" if by == _PLAIN else " %"
    header = [by.removeprefix("by_"), "n", *(f"{_SHOWN.get(key, key.replace('_', ' '))}{unit}" for key in columns)]
    cells = [
        [label, _count(row.get("n", 0)), *(_figure(row, key, by) for key in columns)] for label, row in rows.items()
    ]
    return [*_grid(header, cells), ""]


def _grid(header: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    return [_row(header), _row(["---", *["---:"] * (len(header) - 1)]), *(_row(row) for row in cells)]


def _operating_point(point: Mapping[str, Any]) -> str:
    reached = ", ".join(
        f"{key} {value:.4g}" for key, value in point.items() if key not in ("threshold", "rule", "fitted_on")
    )
    return (
        f"In the model file: threshold {point['threshold']:.4g} ({_text(point['rule'])})"
        f"{', ' * bool(reached)}{reached}, fitted on {_text(point['fitted_on'])}."
    )


def _counted(data: Mapping[str, Any]) -> str:
    """Return "3 people, 27 photos"; classes where people are unknown."""
    return ", ".join(f"{data[key]} {key}" for key in ("people", "classes", "photos") if key in data)


def _figure(row: Mapping[str, Any], key: str, by: str) -> str:
    """Return "98.2 (96.1 to 99.4)" in percent, a cosine as it is, "98.2 ± 0.3" over runs, or a dash without one."""
    if key not in row:
        return "-"
    if isinstance(row[key], Mapping):
        return _spread(row[key], by)
    if by == _PLAIN:
        return f"{row[key]:.3f}"
    interval = row.get(f"{key}_interval")
    bounds = f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})" if interval else ""
    return f"{100 * row[key]:.1f}{bounds}"


def _spread(figure: Mapping[str, Any], by: str) -> str:
    """Return mean and standard deviation, and how many runs gave the figure where not all did."""
    scale, digits = (1, 3) if by == _PLAIN else (100, 1)
    deviation = "" if figure["sd"] is None else f" ± {scale * figure['sd']:.{digits}f}"
    given, runs = figure["runs"], len(figure["values"])
    return f"{scale * figure['mean']:.{digits}f}{deviation}" + (f" ({given} of {runs} runs)" if given < runs else "")


def _count(number: int | None) -> str:
    """Return a count; None stands for one that differs from run to run."""
    return "differs" if number is None else str(number)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_text(cell) for cell in cells) + " |"


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(inner)}" for key, inner in value.items() if inner is not None)
    if isinstance(value, Sequence) and not isinstance(value, str):
        between = "; " if any(isinstance(inner, Mapping) for inner in value) else ", "
        return between.join(_flat(inner) for inner in value)
    return str(value)


def _text(value: Any) -> str:
    """Return text that cannot break a table or a line of Markdown."""
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")
