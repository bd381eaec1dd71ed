"""Exact search of faiss."""

from __future__ import annotations

from metricface.components.indexes._faiss import Device, FaissIndex


def flat(*, dim: int, device: Device = "cpu") -> FaissIndex:
    """IndexFlatIP of faiss: every vector as it is, 4 D bytes each, compared with every query.

    Args:
        dim: D of the vectors.
        device: "cuda" for the first GPU, with faiss-gpu.
    """
    return FaissIndex(dim=dim, factory="Flat", exact=True, device=device)
