"""Saying of a loss that is not finite whose components and which photos were there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from metricface.build.experiment import Experiment
from metricface.errors import TrainingError
from metricface.training.not_finite import NotFiniteError

_OWN = "metricface"
_COMPUTE = ("backbone", "head", "loss", "miner")  # the kinds between a photo and the gradient


@contextmanager
def named(experiment: Experiment) -> Iterator[None]:
    """Name paths, and components of other packages, in the error of a step that is not finite.

    Raises:
        TrainingError: with the names.
    """
    try:
        yield
    except NotFiniteError as error:
        parts = [part for part in experiment.recipe.components() if part.kind in _COMPUTE]
        others = [f"{part.kind} {part.name}" for part in parts if part.distribution != _OWN]
        paths = [str(experiment.train.items[index].path) for index in error.photos]
        raise TrainingError(error.told(paths, list(dict.fromkeys(others)))) from error
