"""Embeddings of people who do not exist."""

from __future__ import annotations

import numpy as np

from metricface.contracts import EmbeddingSet


def embeddings(
    people: int = 20, photos: int = 4, conditions: int = 2, noise: float = 0.3, seed: int = 0
) -> EmbeddingSet:
    """Photos of people, each clean and in the distortions, around a direction of the person's own."""
    rng = np.random.default_rng(seed)
    person, photo, condition = (part.ravel() for part in np.indices((people, photos, conditions + 1)))
    centres = rng.standard_normal((people, 16))
    vectors = centres[person] + noise * (1 + condition[:, None]) * rng.standard_normal((len(person), 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    sources = np.array([f"p{one}/{number}" for one, number in zip(person, photo, strict=True)])
    return EmbeddingSet(
        vectors=vectors,
        norms=np.ones(len(person), np.float32),
        labels=person.astype(np.int64),
        conditions=condition.astype(np.int64),
        severities=np.zeros(len(person), np.int64),
        sources=sources,
        paths=np.array([f"{source}_{number}" for source, number in zip(sources, condition, strict=True)]),
        label_names=tuple(f"p{number}" for number in range(people)),
        condition_names=("clean", "foggy", "noisy")[: conditions + 1],
    )
