"""Plots of a classifier's outcomes, readable in grey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from metricface.files import write_atomically
from metricface.functional.metrics.calibration import BINS, Reliability, reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = {"label", "predicted", "score", "probability"}
_WRITTEN_OUT = 20  # classes up to which a confusion matrix has names and numbers
_WIDTH, _HEIGHT = 5.2, 6.3  # of a picture, in inches


def plot_classification(
    outcomes: Mapping[str, Sequence[Any]], classes: Sequence[str], folder: Path, *, suffix: str = ""
) -> list[Path]:
    """Draw confusion matrix, ROC, precision-recall and reliability as PNGs; return what was drawn.

    Args:
        outcomes: columns label, predicted, score (log-odds before temperature scaling) and probability (after it);
            of the positive class of two, of the predicted class of more. Nothing is drawn of others.
        classes: names in the order of labels; of two, the second is the positive one. ROC and precision-recall are
            drawn of two only, and where both have photos.
        folder: gets confusion.png, roc.png, precision_recall.png and reliability.png.
        suffix: of these names, before ".png", to tell two classifiers' pictures apart.
    """
    if not set(outcomes) >= _COLUMNS:
        return []
    labels, predicted = np.array(outcomes["label"], np.str_), np.array(outcomes["predicted"], np.str_)
    score, probability = np.array(outcomes["score"], np.float64), np.array(outcomes["probability"], np.float64)
    drawn = {"confusion.png": _confusion(labels, predicted, classes)}
    if len(classes) == 2 and len(set(labels)) == 2:
        positive = labels == classes[1]
        drawn["roc.png"] = _roc(positive, score, classes[1])
        drawn["precision_recall.png"] = _precision_recall(positive, score, classes[1])
    drawn["reliability.png"] = _reliability(labels, predicted, score, probability, classes)
    paths = {folder / name.replace(".", f"{suffix}."): figure for name, figure in drawn.items()}
    for path, figure in paths.items():
        write_atomically(path, partial(figure.savefig, format="png", dpi=120))
    return list(paths)


def _confusion(labels: npt.NDArray[np.str_], predicted: npt.NDArray[np.str_], classes: Sequence[str]) -> Figure:
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(labels, predicted, labels=list(classes))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = _square(f"Confusion matrix (n = {len(labels)}; shade: share of the row)", "taken for", "photos of")
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=1)
    if len(classes) <= _WRITTEN_OUT:
        axes.set_xticks(range(len(classes)), classes)
        axes.set_yticks(range(len(classes)), classes)
        for (row, column), count in np.ndenumerate(counts):
            ink = "white" if shares[row, column] > 0.5 else "black"
            share = f"\n{shares[row, column]:.1%}" if len(classes) <= 5 else ""
            axes.text(column, row, f"{count}{share}", ha="center", va="center", color=ink)
    return figure


def _roc(positive: npt.NDArray[np.bool_], score: npt.NDArray[np.float64], name: str) -> Figure:
    from sklearn.metrics import roc_auc_score, roc_curve

    false, true, _ = roc_curve(positive, score)
    figure, axes = _square(f"ROC, positive class {name}", "false positive rate", "true positive rate")
    axes.plot(false, true, color="black", label=f"AUROC {roc_auc_score(positive, score):.4f} (n = {len(score)})")
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="chance")
    return _unit_axes(figure, axes)


def _precision_recall(positive: npt.NDArray[np.bool_], score: npt.NDArray[np.float64], name: str) -> Figure:
    from sklearn.metrics import average_precision_score, precision_recall_curve

    precision, recall, _ = precision_recall_curve(positive, score)
    average = average_precision_score(positive, score)
    figure, axes = _square(f"Precision and recall, positive class {name}", "recall", "precision")
    axes.step(recall, precision, where="post", color="black", label=f"average {average:.4f} (n = {len(score)})")
    axes.axhline(positive.mean(), color="0.6", linestyle=":", label=f"share of {name}")
    return _unit_axes(figure, axes)


def _reliability(
    labels: npt.NDArray[np.str_],
    predicted: npt.NDArray[np.str_],
    score: npt.NDArray[np.float64],
    probability: npt.NDArray[np.float64],
    classes: Sequence[str],
) -> Figure:
    """Draw accuracy by confidence of the most probable class, before and after temperature scaling."""
    before = np.exp(-np.logaddexp(0, -score))
    if len(classes) == 2:
        right = (score > 0) == (labels == classes[1])
        before, probability = np.maximum(before, 1 - before), np.maximum(probability, 1 - probability)
    else:
        right = labels == predicted
    figure, axes = _square(
        f"Reliability of the most probable class ({BINS} bins)", "confidence (mean of the bin)", "accuracy of the bin"
    )
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="calibrated")
    _curve(axes, reliability(before, right), "as trained", color="0.55", linestyle="--", marker="s")
    _curve(axes, reliability(probability, right), "after temperature", color="black", linestyle="-", marker="o")
    return _unit_axes(figure, axes)


def _curve(axes: Axes, bins: Reliability, name: str, **style: Any) -> None:
    used = bins.counts > 0
    label = f"{name}, ECE {bins.error:.4f} (n = {bins.counts.sum()})"
    axes.plot(bins.confidence[used], bins.accuracy[used], label=label, **style)


def _square(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10)
    axes.set(xlabel=x, ylabel=y)
    return figure, axes


def _unit_axes(figure: Figure, axes: Axes) -> Figure:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.grid(color="0.9")
    figure.legend(loc="outside lower center")
    return figure
