"""What do our wrapper of faiss, our exact search and our retrieval figures cost beside the libraries themselves?

    python benchmarks/retrieval.py [--rounds N] [--threads N]

1. Wrapper: `flat`, `hnsw` and `ivf` of ours against the same calls to faiss, in batches and query by query.
2. Exact search: `exact` against faiss.IndexFlatIP and against the product of matrices alone.
3. Figures: `retrieve` against AccuracyCalculator of pytorch-metric-learning and against the product of matrices alone;
   each in a process of its own as well, for its memory and for the time with the start of the process.

Vectors are made up: people of ten photos around random directions of 512 dimensions. Sides take turns in one process,
what they return is compared before any time counts, and ratios are medians of the ratios of the turns.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from methods import HERE, machine
from retrieval_processes import DIM, Floats, ours_of, own_processes, peers_of, people, product
from threadpoolctl import threadpool_limits

from metricface.files import write_json, write_text

K = 10
QUERIES = 1000
Sides = Mapping[str, Callable[[], Any]]


def main() -> None:
    """Measure, print and write benchmarks/retrieval.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with threadpool_limits(options.threads):
        found = [*wrapper(options.rounds), *exact(options.rounds), *figures(options.rounds)]
    processes = own_processes(options.rounds, options.threads)
    conditions = {**machine(options.threads), **versions(), "rounds": options.rounds, "load_before": load}
    document = {"conditions": conditions, "turns": found, "processes": processes}
    write_json(options.out / "retrieval.json", document)
    write_text(options.out / "retrieval.md", table(document))
    print(table(document))


def versions() -> dict[str, str]:
    """Return what was compared with."""
    import faiss
    import pytorch_metric_learning

    return {"faiss": faiss.__version__, "pytorch-metric-learning": pytorch_metric_learning.__version__}


def wrapper(rounds: int) -> list[dict[str, Any]]:
    """Compare indexes of ours with faiss called by hand."""
    import faiss

    from metricface.components.indexes.flat import flat
    from metricface.components.indexes.hnsw import hnsw
    from metricface.components.indexes.ivf import ivf

    gallery, _ = people(20_000)
    queries = np.ascontiguousarray(gallery[:: len(gallery) // QUERIES])
    found = []
    for name, made, factory, settings in (
        ("flat", flat(dim=DIM), "Flat", {}),
        ("hnsw", hnsw(dim=DIM), "HNSW32", {"efConstruction": 80, "efSearch": 64}),
        ("ivf", ivf(dim=DIM, lists=256, probes=8), "IVF256,Flat", {"nprobe": 8}),
    ):
        bare = faiss.index_factory(DIM, factory, faiss.METRIC_INNER_PRODUCT)
        for key, value in settings.items():
            faiss.ParameterSpace().set_index_parameter(bare, key, value)
        made.train(gallery)
        bare.train(gallery)
        made.add(gallery)
        bare.add(gallery)
        ours, theirs = made.search(queries, K), bare.search(queries, K)
        assert np.array_equal(ours[0], theirs[0])
        assert np.array_equal(ours[1], theirs[1])
        title = f"{name}, 20,000 x {DIM}"
        sides: Sides = {"ours": partial(made.search, queries, K), "faiss": partial(bare.search, queries, K)}
        found.append(in_turns(f"{title}, batches of 1,000", sides, 3 * rounds))
        singles: Sides = {"ours": partial(one_by_one, made, queries), "faiss": partial(one_by_one, bare, queries)}
        found.append(in_turns(f"{title}, 100 queries one by one", singles, 3 * rounds))
    return found


def one_by_one(index: Any, queries: Floats) -> None:
    """Search for 100 queries, each alone."""
    for number in range(100):
        index.search(queries[number : number + 1], K)


def exact(rounds: int) -> list[dict[str, Any]]:
    """Compare exact search with faiss and with the product of matrices alone."""
    import faiss

    from metricface.components.indexes.exact import Exact

    found = []
    for count in (20_000, 100_000):
        gallery, _ = people(count)
        queries = np.ascontiguousarray(gallery[:: count // QUERIES])
        ours, flat = Exact(dim=DIM), faiss.IndexFlatIP(DIM)
        ours.add(gallery)
        flat.add(gallery)
        own, theirs = ours.search(queries, K), flat.search(queries, K)
        assert np.abs(own[0] - theirs[0]).max() < 1e-6
        out = np.empty((len(queries), count), np.float32)
        sides: Sides = {
            "ours": partial(ours.search, queries, K),
            "IndexFlatIP": partial(flat.search, queries, K),
            "product alone": partial(np.matmul, queries, gallery.T, out=out),
        }
        found.append(in_turns(f"exact, {len(queries):,} of {count:,} x {DIM}, k {K}", sides, rounds))
    return found


def figures(rounds: int) -> list[dict[str, Any]]:
    """Compare the figures of retrieval with those of pytorch-metric-learning."""
    found = []
    for count, k in ((10_000, None), (50_000, "max_bin_count")):
        vectors, labels = people(count)
        own = ours_of(vectors, labels)
        theirs = peers_of(vectors, labels, k)
        for name, value in theirs.items():
            assert abs(own[name] - value) < 1e-6, (name, own[name], value)
        block = np.empty((min(count, 10_000), count), np.float32)
        sides: Sides = {
            "ours": partial(ours_of, vectors, labels),
            "product alone": partial(product, vectors, block),
        }
        if k is None:
            sides = {**sides, "AccuracyCalculator": partial(peers_of, vectors, labels, None)}
        found.append({**in_turns(f"figures, {count:,} x {DIM}", sides, rounds), "values": own, "peer": theirs})
    return found


def in_turns(title: str, sides: Sides, rounds: int) -> dict[str, Any]:
    """Return the seconds of every side in every round, the first round dropped."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        names = list(sides) if number % 2 else list(sides)[::-1]
        for name in names:
            begun = time.perf_counter()
            sides[name]()
            if number:  # the first round warms up
                seconds[name].append(time.perf_counter() - begun)
    print(title, {name: round(median(found), 4) for name, found in seconds.items()}, file=sys.stderr, flush=True)
    return {"title": title, "seconds": seconds}


def table(document: dict[str, Any]) -> str:
    """Return the result as Markdown."""
    lines = ["# Retrieval beside the libraries themselves", "", json.dumps(document["conditions"]), ""]
    lines += ["| what | side | median s | ours / it, median of turns |", "|---|---|---:|---:|"]
    for one in document["turns"]:
        ours = one["seconds"]["ours"]
        for side, seconds in one["seconds"].items():
            ratio = median(mine / its for mine, its in zip(ours, seconds, strict=True))
            lines.append(f"| {one['title']} | {side} | {median(seconds):.4f} | {ratio:.3f} |")
    lines += [
        "",
        "With the start of a process; memory is the peak beyond the vectors and what was imported before.",
        "",
    ]
    lines += ["| what | side | median s | peak MB |", "|---|---|---:|---:|"]
    for one in document["processes"]:
        for side, turns in one["turns"].items():
            whole, peak = median(turn["whole"] for turn in turns), median(turn["bytes"] for turn in turns)
            lines.append(f"| {one['title']} | {side} | {whole:.2f} | {peak / 1e6:,.0f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
