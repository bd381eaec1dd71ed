"""Labelling photos with a trained classifier: `metricface classify`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from torch import nn

from metricface.build import components as make
from metricface.build.model_folder import LoadedModel, load_model, named_evaluators
from metricface.components.registry import Registries
from metricface.contracts import Head, Progress
from metricface.contracts.results import OperatingPoint
from metricface.data.photos import PhotoFiles
from metricface.errors import ModelError
from metricface.evaluation.subject import Embedded, embed_photos, logits_of
from metricface.files import as_cell, write_atomically
from metricface.functional.metrics.calibration import class_logits, probabilities
from metricface.functional.metrics.decisions import decide
from metricface.machine import choose_device
from metricface.model.face_model import laid_out

COLUMNS = ("path", "label", "probability", "status")
OK = "ok"
CLASSIFICATION = "classification"  # the evaluator whose operating points decide
_HALF = 0.5
_PLACES = 6  # of a probability


@dataclass(frozen=True, slots=True)
class Labelled:
    """One photo's row.

    Args:
        path: the file.
        label: the class it is taken for, "" when it cannot be judged.
        probability: of that class, after temperature scaling, or None. With two classes and another threshold than
            0.5 it may lie below 0.5.
        status: "ok", or why it cannot be judged.
    """

    path: str
    label: str = ""
    probability: float | None = None
    status: str = OK


class Classifier:
    """A model folder's classifier: everything that it needs comes from there.

    Args:
        path: a model folder or a run folder.
        registries: kind -> registry; None looks at the installed packages.
        device: as `train.device`.

    `notices` are remarks for the user: what decides, and where it comes from.

    Raises:
        ModelError: no usable model, or one that keeps no classifier.
    """

    def __init__(
        self, path: str | PathLike[str], registries: Registries | None = None, *, device: str = "auto"
    ) -> None:
        self._device = choose_device(device, "device")
        loaded = load_model(path, registries)
        fitted = _operating_points(loaded)
        if loaded.head is None:
            raise ModelError(
                f"{loaded.folder}: this model keeps no classifier, only embeddings. Add [[evaluate]] with "
                'name = "classification" to its recipe and run that again.'
            )
        self.labels = loaded.description.labels
        point = next(iter(fitted.values()), None)
        self.threshold = _HALF if point is None else point.threshold
        self.temperature = 1.0 if point is None else point.values.get("temperature", 1.0)
        self.notices = _notices(loaded.folder, self.labels, fitted)
        self._model: nn.Module = laid_out(loaded.model, self._device)
        self._head: Head = make.on(self._device, loaded.head)
        self._preprocessing = loaded.preprocessing

    def label(
        self, photos: Sequence[Path], batch_size: int = 64, progress: Progress | None = None
    ) -> Iterator[Labelled]:
        """Yield one row per photo, in order; no more than one batch of photos is in memory.

        Args:
            photos: files; one that cannot be read becomes a row that says why.
            batch_size: photos at once.
            progress: called with (photos done, photos in all).
        """
        files = PhotoFiles(photos, self._preprocessing)
        done = 0
        for batch in embed_photos(self._model, files, self._preprocessing, device=self._device, batch_size=batch_size):
            yield from self._rows(photos, batch)
            done += len(batch)
            if progress is not None:
                progress(done, len(photos))

    def _rows(self, photos: Sequence[Path], batch: Embedded) -> Iterator[Labelled]:
        rows = {number: _unreadable(photos[number], why) for number, why in batch.unreadable.items()}
        if batch.numbers:
            logits = class_logits(logits_of(self._head, batch.embeddings), len(self.labels))
            rows |= {number: self._row(photos[number], row) for number, row in zip(batch.numbers, logits, strict=True)}
        for number in sorted(rows):
            yield rows[number]

    def _row(self, path: Path, logits: npt.NDArray[np.float64]) -> Labelled:
        if not np.isfinite(logits).all():
            return Labelled(str(path), status="the model gives no finite number for it")
        of_class = probabilities(logits[None], self.temperature)
        number = int(decide(of_class, self.threshold)[0])
        return Labelled(str(path), self.labels[number], round(float(of_class[0, number]), _PLACES))


def _operating_points(loaded: LoadedModel) -> dict[str, OperatingPoint]:
    """Return the operating point of every evaluator of the recipe that classifies and has one."""
    return {
        name: points[0]
        for name, reference in named_evaluators(loaded.description).items()
        if reference.is_ours(CLASSIFICATION) and (points := loaded.operating_points.get(name, ()))
    }


def _notices(folder: Path, labels: Sequence[str], fitted: Mapping[str, OperatingPoint]) -> tuple[str, ...]:
    """Return what to say of the threshold: what it decides and where it comes from, or that there is none."""
    first, *others = fitted or ("",)
    temperature = f", temperature {fitted[first].values.get('temperature', 1.0):.4g}" if fitted else ""
    if len(labels) != 2:
        return (f"{folder}: no threshold, the most probable of {len(labels)} classes decides{temperature}",)
    if not fitted:
        return (f"{folder}: no threshold could be fitted (its report says why): 0.5 is used.",)
    point = fitted[first]
    of_several = f"the threshold of {first} is used, not that of {', '.join(others)}: " if others else "threshold "
    return (
        f"{folder}: {of_several}{point.threshold:.4g}, {labels[1]} at or above it, {labels[0]} below ({point.rule}, "
        f"fitted on {point.fitted_on}){temperature}",
    )


def _unreadable(path: Path, why: str) -> Labelled:
    return Labelled(str(path), status=why.removeprefix(f"{path}: "))


def write_csv(path: Path, rows: Iterable[Labelled]) -> None:
    """Write rows as they come, formulas as `files.as_cell` has them; `path` appears once all are there."""
    write_atomically(path, lambda file: _write_rows(file, rows))


def _write_rows(file: IO[bytes], rows: Iterable[Labelled]) -> None:
    # A file name need not be UTF-8, and must not end the work after all of it is done.
    text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        probability = "" if row.probability is None else f"{row.probability:.{_PLACES}f}"
        writer.writerow([as_cell(cell) for cell in (row.path, row.label, probability, row.status)])
    text.flush()
    text.detach()
