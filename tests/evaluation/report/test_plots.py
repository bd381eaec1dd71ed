from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from metricface.evaluation.report.plots import _smooth, plot_losses, plot_metrics


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
    events = [{"event": "evaluated", "epoch": 0, "results": {"classification": {"accuracy": 0.5, "n": 4}}}]
    path.write_text(json.dumps(events[0]) + "\n")
    assert not plot_metrics(path, tmp_path / "picture.png")  # evaluated, but nothing with a rank
    assert not (tmp_path / "picture.png").exists()


def test_the_balanced_accuracy_of_a_classifier_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    results = {"classification": {"balanced_accuracy": 0.5, "n": 4, "threshold-0.5": {"balanced_accuracy": 0.4}}}
    path.write_text(json.dumps({"event": "evaluated", "epoch": 0, "results": results}) + "\n")
    assert plot_metrics(path, tmp_path / "picture.png")


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
