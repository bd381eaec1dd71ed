"""Lists of vectors around centroids, of faiss."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge

from metricface.components.indexes._faiss import PROBES, Device, FaissIndex, Refine, grid_of, refined, search_of

_STORED = {"flat": "Flat", "fp16": "SQfp16", "sq8": "SQ8"}


def ivf(
    *,
    dim: int,
    lists: Annotated[int, Ge(1)] | Literal["auto"] = "auto",
    probes: Annotated[int, Ge(1)] = 16,
    storage: Literal["flat", "fp16", "sq8"] = "flat",
    refine: Refine = "none",
    refine_factor: Annotated[int, Ge(1)] = 4,
    device: Device = "cpu",
) -> FaissIndex:
    """Vectors in lists around centroids: a search looks into the lists that are nearest.

    Args:
        dim: D of the vectors.
        lists: parts that the vectors fall into; "auto" is four times the square root of their number, fewer where
            there would be fewer than 39 vectors for each.
        probes: lists that a search looks into.
        storage: how the vectors are kept: "flat" as they are, in half precision, or in a byte per dimension.
        refine: what the best candidates are compared with again: "flat" (the vectors), "fp16" or "sq8" of them.
        refine_factor: so many times as many candidates as are asked for.
        device: "cuda" for the first GPU, with faiss-gpu.
    """
    part = "{lists}" if lists == "auto" else str(lists)
    return FaissIndex(
        dim=dim,
        factory=refined(f"IVF{part},{_STORED[storage]}", refine),
        search=search_of(refine, refine_factor, probes=probes),
        grid=grid_of(refine, probes=PROBES),
        device=device,
    )
