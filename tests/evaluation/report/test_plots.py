from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from metricface.contracts.results import Reading, Result, Value
from metricface.evaluation.report import plots
from metricface.evaluation.report.plots import _smooth, plot_losses, plot_metrics
from metricface.training.journal import _described
from metricface.training.state import Evaluated


def write(path: Path, results: dict[str, Result]) -> None:
    event = Evaluated(4, 0, results)
    path.write_text(json.dumps({"event": "evaluated", **_described(event)}) + "\n")


def journal(folder: Path, steps: int, epochs: int) -> Path:
    events = [
        {"event": "step", "step": n, "losses": {"cross-entropy": 3 / n, "contrastive": 1 / n}}
        for n in range(1, steps + 1)
    ]
    for epoch in range(epochs):
        readings = {"same-source": {"rank1": epoch / 10, "n": 70}, "cross-source": {}, "refusals": []}
        events.append({"event": "evaluated", "epoch": epoch, "results": {"identification": readings}})
    path = folder / "metrics.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (60, 4)])
def test_the_pictures_are_drawn(tmp_path: Path, steps: int, epochs: int) -> None:
    path = journal(tmp_path, steps, epochs)
    for plot in (plot_losses, plot_metrics):
        assert plot(path, tmp_path / "picture.png")
        image = cv2.imread(str(tmp_path / "picture.png"))
        assert image.shape[:2] == (504, 840)
        assert 0.01 < (image < 128).mean() < 0.5  # ink on white


def test_with_nothing_to_draw_there_is_no_picture(tmp_path: Path) -> None:
    path = journal(tmp_path, 0, 0)
    for plot in (plot_losses, plot_metrics):
        assert not plot(path, tmp_path / "picture.png")
        assert not plot(tmp_path / "missing.jsonl", tmp_path / "picture.png")
    write(path, {"mine": Result((Reading("empty", {}),))})
    assert not plot_metrics(path, tmp_path / "picture.png")  # evaluated, but without a figure
    assert not (tmp_path / "picture.png").exists()


def drawn(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, list[float]]]:
    """The curves that `plot_metrics` draws: label of the axis -> label of the curve -> its values."""
    fields: list[Any] = []
    save = plots._save
    monkeypatch.setattr(
        plots, "_save", lambda figure, axes, picture: fields.extend(axes) or save(figure, axes, picture)
    )
    assert plot_metrics(path, path.with_suffix(".png"))
    return {
        axes.get_ylabel(): {line.get_label(): list(map(float, line.get_ydata())) for line in axes.lines}
        for axes in fields
    }


def test_the_balanced_accuracy_of_a_classifier_is_drawn_and_rank_1_of_every_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half, whole = Value(0.5, 4), Value(1.0, 4)
    both = {"accuracy": whole, "balanced_accuracy": half}
    results = {
        "classification": Result((Reading("", both), Reading("threshold-0.5", both))),
        "identification": Result((Reading("same-source", {"rank1": half, "f1": whole}), Reading("cross-source", {}))),
    }
    write(tmp_path / "metrics.jsonl", results)
    assert drawn(tmp_path / "metrics.jsonl", monkeypatch) == {
        "%": {"classification, balanced accuracy (n = 4)": [50], "identification, same-source rank-1 (n = 4)": [50]}
    }


def test_a_journal_of_before_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = {"classification": {"balanced_accuracy": 0.25, "n": 4, "threshold-0.5": {"balanced_accuracy": 0.4, "n": 4}}}
    first = json.dumps({"event": "evaluated", "epoch": 0, "results": old}) + "\n"
    write(tmp_path / "new.jsonl", {"classification": Result((Reading("", {"balanced_accuracy": Value(0.5, 4)}),))})
    second = (tmp_path / "new.jsonl").read_text().replace('"epoch": 0', '"epoch": 1')
    (tmp_path / "metrics.jsonl").write_text(first + second)
    curves = {"%": {"classification, balanced accuracy (n = 4)": [25, 50]}}
    assert drawn(tmp_path / "metrics.jsonl", monkeypatch) == curves


def test_figures_of_evaluators_that_nobody_knows_are_drawn_in_their_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = {"dark": Value(0.31, 9, unit="cosine"), "kept": Value(0.75, 9), "lost": Value(0.25, 9)}
    only = {"gap": Value(-0.125, 9, unit="cosine")}
    write(tmp_path / "metrics.jsonl", {"robustness": Result((Reading("dark", figures), Reading("bright", only)))})
    assert drawn(tmp_path / "metrics.jsonl", monkeypatch) == {
        "%": {"robustness, dark kept (n = 9)": [75]},
        "cosine": {"robustness, bright gap (n = 9)": [-0.125]},
    }
    assert cv2.imread(str(tmp_path / "metrics.png")).shape[:2] == (1008, 840)


def test_smoothing_is_the_mean_of_ten_steps_on_each_side() -> None:
    values = [float(n * n % 17) for n in range(50)]
    assert _smooth(values)[0] == pytest.approx(sum(values[:11]) / 11)
    assert _smooth(values)[25] == pytest.approx(sum(values[15:36]) / 21)
    assert _smooth(values)[49] == pytest.approx(sum(values[39:]) / 11)
    assert _smooth([3.0]) == [3.0]


def test_a_loss_that_falls_is_drawn_falling_and_a_single_step_is_a_visible_mark(tmp_path: Path) -> None:
    plot_losses(journal(tmp_path, 60, 0), tmp_path / "many.png")
    plot_losses(journal(tmp_path, 1, 0), tmp_path / "one.png")
    rows, columns = blue(tmp_path / "many.png").nonzero()
    assert rows[columns < 150].mean() < rows[columns > 400].mean() - 50  # row 0 is the top
    assert blue(tmp_path / "one.png").sum() > 20


def blue(picture: Path) -> np.ndarray:
    """Where the first loss is drawn, left of the legend."""
    image = cv2.imread(str(picture)).astype(int)[:, :500]
    return image[..., 0] - image[..., 2] > 100
