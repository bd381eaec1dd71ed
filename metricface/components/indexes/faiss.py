"""Any index of faiss, by its factory string."""

from __future__ import annotations

from metricface.components.indexes._faiss import PROBES, Device, FaissIndex


def faiss(*, dim: int, factory: str, search: dict[str, int] | None = None, device: Device = "cpu") -> FaissIndex:
    """Whatever `faiss.index_factory` makes, by inner product: "HNSW32", "IVF1024,PQ64", "OPQ64,IVF4096,PQ64x4fs,RFlat".

    Args:
        dim: D of the vectors.
        factory: the string; "IVF{lists},..." has as many lists as the vectors allow.
        search: parameters of a search, of probes, ef_search and refine_factor those that the index has.
        device: "cuda" for the first GPU, with faiss-gpu.
    """
    grid: dict[str, tuple[int, ...]] = {}
    if "IVF" in factory:
        grid["probes"] = PROBES
    if "HNSW" in factory and "IVF" not in factory:
        grid["ef_search"] = tuple(2**power for power in range(4, 10))
    if "RFlat" in factory or "Refine" in factory:
        grid["refine_factor"] = (1, 2, 4, 8, 16)
    return FaissIndex(dim=dim, factory=factory, search=search, grid=grid, exact=factory == "Flat", device=device)
