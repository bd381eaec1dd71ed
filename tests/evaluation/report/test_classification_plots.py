from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from metricface.evaluation.report.classification_plots import plot_classification

NAMES = ("male", "female")


def outcomes(count: int = 60, classes: tuple[str, ...] = NAMES) -> dict[str, list]:
    rng = np.random.default_rng(0)
    labels = rng.integers(len(classes), size=count)
    score = rng.normal(size=count) + 2 * labels - 1
    predicted = (score > 0).astype(int) if len(classes) == 2 else rng.integers(len(classes), size=count)
    return {
        "path": [f"{i}.png" for i in range(count)],
        "person": [""] * count,
        "label": [classes[label] for label in labels],
        "predicted": [classes[label] for label in predicted],
        "score": score.tolist(),
        "probability": (1 / (1 + np.exp(-score / 2))).tolist(),
    }


def names(drawn: list[Path]) -> set[str]:
    assert all(path.exists() for path in drawn)
    return {path.name for path in drawn}


def test_four_pictures_of_two_classes_are_grey_ink_on_white(tmp_path: Path) -> None:
    drawn = plot_classification(outcomes(), NAMES, tmp_path)
    assert names(drawn) == {"confusion.png", "roc.png", "precision_recall.png", "reliability.png"}
    for path in drawn:
        image = cv2.imread(str(path)).astype(int)
        assert image.shape[:2] == (756, 624)
        assert 0.005 < (image < 128).mean() < 0.6
        assert np.ptp(image, axis=2).max() == 0  # no colour


def test_more_classes_or_a_class_without_photos_have_no_curves(tmp_path: Path) -> None:
    both = {"confusion.png", "reliability.png"}
    assert names(plot_classification(outcomes(classes=("a", "b", "c")), ("a", "b", "c"), tmp_path)) == both
    alone = outcomes()
    alone["label"] = ["male"] * 60
    assert names(plot_classification(alone, NAMES, tmp_path)) == both


def test_other_outcomes_are_not_drawn(tmp_path: Path) -> None:
    assert plot_classification({}, NAMES, tmp_path) == []
    assert plot_classification({"label": [], "predicted": []}, NAMES, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_confusion_matrix_is_dark_where_photos_are(tmp_path: Path) -> None:
    wrong = outcomes()
    wrong["predicted"] = [NAMES[label == "male"] for label in wrong["label"]]
    for given, dark in ((wrong, False), ({**wrong, "predicted": wrong["label"]}, True)):
        plot_classification(given, NAMES, tmp_path)
        image = cv2.imread(str(tmp_path / "confusion.png"), cv2.IMREAD_GRAYSCALE)
        assert (image[200, 150] < 100) == dark  # males taken for male
