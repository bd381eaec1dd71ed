"""A navigable graph of faiss."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le

from metricface.components.indexes._faiss import FaissIndex, Refine, grid_of, refined, search_of

_STORED = {"flat": "", "fp16": "_SQfp16", "sq8": "_SQ8"}
_EFFORTS = tuple(2**power for power in range(4, 10))  # 16 to 512


def hnsw(
    *,
    dim: int,
    neighbours: Annotated[int, Ge(2), Le(128)] = 32,
    ef_construction: Annotated[int, Ge(1)] = 80,
    ef_search: Annotated[int, Ge(1)] = 64,
    storage: Literal["flat", "fp16", "sq8"] = "flat",
    refine: Refine = "none",
    refine_factor: Annotated[int, Ge(1)] = 4,
) -> FaissIndex:
    """A graph in which a search walks from neighbour to neighbour; quick, and nothing can be taken out of it.

    Args:
        dim: D of the vectors.
        neighbours: links of each vector, M of the paper.
        ef_construction: candidates that are looked at where a vector is added.
        ef_search: candidates that a search keeps.
        storage: how the vectors are kept: "flat" as they are, in half precision, or in a byte per dimension.
        refine: what the best candidates are compared with again: "flat" (the vectors), "fp16" or "sq8" of them.
        refine_factor: so many times as many candidates as are asked for.

    Source:
        Malkov and Yashunin, arXiv 1603.09320.
    """
    return FaissIndex(
        dim=dim,
        factory=refined(f"HNSW{neighbours}{_STORED[storage]}", refine),
        search=search_of(refine, refine_factor, ef_search=ef_search),
        grid=grid_of(refine, ef_search=_EFFORTS),
        build={"efConstruction": ef_construction},
    )
