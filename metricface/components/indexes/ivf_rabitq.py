"""Lists of vectors of one bit per dimension, of faiss."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge

from metricface.components.indexes._faiss import PROBES, Device, FaissIndex, Refine, grid_of, refined, search_of


def ivf_rabitq(
    *,
    dim: int,
    lists: Annotated[int, Ge(1)] | Literal["auto"] = "auto",
    probes: Annotated[int, Ge(1)] = 16,
    refine: Refine = "sq8",
    refine_factor: Annotated[int, Ge(1)] = 4,
    device: Device = "cpu",
) -> FaissIndex:
    """Lists around centroids whose vectors are rotated and kept in a bit per dimension.

    Args:
        dim: D of the vectors.
        lists: parts that the vectors fall into; "auto" is four times the square root of their number, fewer where
            there would be fewer than 39 vectors for each.
        probes: lists that a search looks into.
        refine: what the best candidates are compared with again: "flat" (the vectors), "fp16" or "sq8" of them.
        refine_factor: so many times as many candidates as are asked for.
        device: "cuda" for the first GPU, with faiss-gpu.

    Source:
        Gao and Long, RaBitQ, arXiv 2405.12497.
    """
    part = "{lists}" if lists == "auto" else str(lists)
    return FaissIndex(
        dim=dim,
        factory=refined(f"IVF{part},RaBitQ", refine),
        search=search_of(refine, refine_factor, probes=probes),
        grid=grid_of(refine, probes=PROBES),
        device=device,
    )
