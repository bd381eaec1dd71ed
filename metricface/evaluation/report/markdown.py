"""Results as Markdown: report.md, seeds.md, and a run as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metricface.contracts.results import Figures, JoinedReading, OperatingPoint, Result, Value
from metricface.evaluation.report.figures import figure_name, suffix, with_conditions

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


def report_markdown(results: Mapping[str, Result], about: Mapping[str, Any]) -> str:
    """Return the report as Markdown: a table per reading, what was left out and why, and how it was made.

    Args:
        results: by evaluator.
        about: the document of report.json or seeds.json, of which `results` is not looked at; all of it may be missing.
    """
    lines: list[str] = []
    if "seeds" in about:
        runs = len(about["seeds"])
        lines += [f"Mean ± standard deviation (n - 1) over {runs} runs." if runs > 1 else "A single run.", ""]
    data = about.get("data", {})
    for evaluator, result in results.items():
        on = f": {_counted(data)} of {_text(data['split'])}" if data else ""
        lines += [f"# {_text(evaluator)}{on}", ""]
        for reading in result.joined():
            lines += _reading(reading)
        for point in result.operating_points:
            lines += [_operating_point(point), ""]
        for refusal in result.refusals:
            lines.append(f"- not given: {_text(refusal.figure)}, because {_text(refusal.reason)}")
        if result.refusals:
            lines.append("")
    notices = [f"- {_text(notice)}" for notice in about.get("notices", ())]
    # How the epoch was chosen stands beside the model already.
    model = {key: value for key, value in about.get("model", {}).items() if key != "selection"}
    shown = {**about, "model": model}
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


def _reading(reading: JoinedReading) -> list[str]:
    """Return tables: a line for all probes and one per condition or group, and who was taken for whom."""
    lines = [f"## {_text(reading.name)}", ""] if reading.name else []
    first, *others = reading.tables or ["over"]
    whole: dict[str, Figures] = {"all": reading.figures} if reading.figures else {}
    lines += _table(first, [*whole.items(), *reading.tables.get(first, {}).items()])
    for by in others:
        lines += _table(by, list(reading.tables[by].items()))
    if reading.confusion:
        rows = reading.confusion.items()
        taken_for = list(dict.fromkeys([*reading.confusion, *(other for _, row in rows for other in row)]))
        cells = [[name, *(str(row.get(other, "-")) for other in taken_for)] for name, row in rows]
        lines += [*_grid(["photos of", *(f"taken for {other}" for other in taken_for)], cells), ""]
    counts = [f"{_text(reason.replace('_', ' '))} {_count(number)}" for reason, number in reading.counts.items()]
    return [*lines, f"Counts: {', '.join(counts)}.", ""] if counts else lines


def _table(by: str, rows: Sequence[tuple[str, Figures]]) -> list[str]:
    """Return a table of figures, one line per row; nothing for no rows.

    A column of one unit has it in its heading, a column of several in each cell.
    """
    if not rows:
        return []
    columns = list(dict.fromkeys(key for _, figures in rows for key in figures))
    units = {key: {figures[key].unit for _, figures in rows if key in figures} for key in columns}
    of_column = {key: suffix(*found) if len(found) == 1 else "" for key, found in units.items()}
    header = [by, "n", *(f"{figure_name(key)}{of_column[key]}" for key in columns)]
    cells = [
        [label, _n(figures), *(_cell(figures.get(key), alone=len(units[key]) == 1) for key in columns)]
        for label, figures in rows
    ]
    return [*_grid(header, cells), ""]


def _cell(figure: Value | None, *, alone: bool) -> str:
    """Return a figure, with its unit where the column has several, or a dash where there is none."""
    if figure is None:
        return "-"
    return with_conditions(figure) + ("" if alone else suffix(figure.unit))


def _n(figures: Figures) -> str:
    """Return what the first figure of a row is counted over."""
    return _count(next((figure.n for figure in figures.values()), 0))


def _grid(header: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    return [_row(header), _row(["---", *["---:"] * (len(header) - 1)]), *(_row(row) for row in cells)]


def _operating_point(point: OperatingPoint) -> str:
    reached = "".join(f", {_text(key)} {value:.4g}" for key, value in point.values.items())
    rule, fitted_on = _text(point.rule), _text(point.fitted_on)
    return f"In the model folder: threshold {point.threshold:.4g} ({rule}){reached}, fitted on {fitted_on}."


def _counted(data: Mapping[str, Any]) -> str:
    """Return "3 people, 27 photos"; classes where people are unknown."""
    return ", ".join(f"{data[key]} {key}" for key in ("people", "classes", "photos") if key in data)


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
