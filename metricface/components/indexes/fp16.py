"""Search of faiss over vectors in half precision."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from metricface.components.indexes._faiss import Device, FaissIndex, Refine, grid_of, refined, search_of


def fp16(
    *, dim: int, refine: Refine = "none", refine_factor: Annotated[int, Ge(1)] = 4, device: Device = "cpu"
) -> FaissIndex:
    """Every vector in half precision, 2 D bytes each, compared with every query.

    Args:
        dim: D of the vectors.
        refine: what the best candidates are compared with again: "flat" (the vectors), "fp16" or "sq8" of them.
        refine_factor: so many times as many candidates as are asked for.
        device: "cuda" for the first GPU, with faiss-gpu.
    """
    search, grid = search_of(refine, refine_factor), grid_of(refine)
    return FaissIndex(dim=dim, factory=refined("SQfp16", refine), search=search, grid=grid, device=device)
