"""Evaluating embeddings in a file: `metricface eval --embeddings`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metricface.build import components as make
from metricface.components.registry import Registries
from metricface.contracts import Console, Dataset, EmbeddingSet, HasNeeds, Item, Predictions
from metricface.contracts.results import OperatingPoint, Result
from metricface.deploy.embed import read_or_embed
from metricface.errors import EvaluationError, UsageError


class _NoPhotos:
    """No photos: embeddings alone are there."""

    def __init__(self) -> None:
        self.items: Sequence[Item] = ()
        self.label_names: tuple[str, ...] = ()
        self.notices: Sequence[str] = ()

    def __len__(self) -> int:
        return 0

    def read(self, index: int) -> Any:
        """Refuse."""
        raise EvaluationError(f"photo {index}: there are embeddings alone. Evaluate the model itself.")


class EmbeddingsSubject:
    """A subject whose embeddings are given; see `metricface.contracts.Subject`."""

    def __init__(self, embeddings: EmbeddingSet) -> None:
        self._embeddings = embeddings
        self.dataset: Dataset = _NoPhotos()
        self.calibration: Dataset | None = None
        self.operating_points: Sequence[OperatingPoint] = ()

    def embed(self, dataset: Dataset) -> EmbeddingSet:
        """Return the embeddings."""
        del dataset
        return self._embeddings

    def predict(self, dataset: Dataset) -> Predictions:
        """Refuse: there is no head."""
        raise EvaluationError(f"logits of {len(dataset)} photos: there are embeddings alone. Evaluate the model.")


def evaluate_embeddings(
    path: Path, protocols: Sequence[str], registries: Registries, console: Console, *, device: str = "auto"
) -> tuple[dict[str, Result], dict[str, Any]]:
    """Return what evaluators find in embeddings, and what was evaluated on.

    Args:
        path: a file of embeddings, or a model that makes them of the photos that its recipe evaluated on.
        protocols: names of evaluators that need nothing but embeddings.
        registries: kind -> registry.
        console: told of what was done to the vectors.
        device: as `train.device`, for a model.

    Raises:
        UsageError: an evaluator needs more than embeddings. DataError, EvaluationError: the embeddings are unfit.
    """
    stored = read_or_embed(path, registries, console, device=device)
    for notice in stored.notices:
        console.say(notice)
    found: dict[str, Result] = {}
    for name in protocols:
        evaluator = make.component(registries, make.configured(registries, "evaluator", name, {}, name))
        needs = evaluator.needs if isinstance(evaluator, HasNeeds) else frozenset()
        if needs != {"embeddings"}:
            more = ", ".join(sorted(needs - {"embeddings"})) or "more"
            raise UsageError(
                f"--protocol {name}: needs {more} besides embeddings. Evaluate the model: metricface eval MODEL"
            )
        found[name] = evaluator(EmbeddingsSubject(stored.embeddings))
    people = len(set(stored.embeddings.labels.tolist()))
    about = {"root": str(path), "split": path.name, "people": people, "photos": len(stored.embeddings.labels)}
    return found, about
