"""Retrieval figures by ours, by a peer and the product of matrices alone, each in a process of its own."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

DIM, EACH = 512, 10
FIGURES = {
    "precision_at_1": "precision_at_1",
    "r_precision": "r_precision",
    "map_at_r": "mean_average_precision_at_r",
    "map": "mean_average_precision",
}
Floats = np.ndarray[Any, np.dtype[np.float32]]


def people(count: int) -> tuple[Floats, np.ndarray[Any, np.dtype[np.int64]]]:
    """Return vectors (count, 512) and who each is."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((count // EACH, DIM), np.float32)
    vectors = np.repeat(centres, EACH, axis=0) + np.float32(1.6) * rng.standard_normal((count, DIM), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.repeat(np.arange(count // EACH), EACH)


def ours_of(vectors: Floats, labels: Any) -> dict[str, float]:
    """Return the figures of ours: every photo looks for the others of its person."""
    from metricface.functional.metrics.retrieval import retrieve

    itself = np.arange(len(vectors))
    found = retrieve(vectors, labels, vectors, labels, left_out=(itself, itself))
    return {name: float(getattr(found, name).mean()) for name in FIGURES}


def peers_of(vectors: Floats, labels: Any, k: int | str | None) -> dict[str, float]:
    """Return the same by pytorch-metric-learning; average precision needs every neighbour, so k None."""
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import FaissKNN

    names = [name for ours, name in FIGURES.items() if k is None or ours != "map"]
    # Squared distances of unit vectors are in the order of their cosines.
    calculator = AccuracyCalculator(include=names, k=k, device=torch.device("cpu"), knn_func=FaissKNN())
    found = calculator.get_accuracy(torch.from_numpy(vectors), torch.from_numpy(labels))
    return {ours: float(found[name]) for ours, name in FIGURES.items() if name in found}


def product(vectors: Floats, out: Floats) -> None:
    """Compute all similarities in blocks of the memory."""
    for start in range(0, len(vectors), len(out)):
        np.matmul(vectors[start : start + len(out)], vectors.T, out=out)


def own_processes(rounds: int, threads: int) -> list[dict[str, Any]]:
    """Return the memory and the whole time of processes that do one thing each."""
    found = []
    for count, sides in ((10_000, ("ours", "product alone", "AccuracyCalculator")), (100_000, ("ours",))):
        turns: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
        for _ in range(rounds if count <= 10_000 else 1):
            for side in sides:
                begun = time.perf_counter()
                command = [sys.executable, __file__, side, str(count), str(threads)]
                said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                turns[side].append({**json.loads(said), "whole": time.perf_counter() - begun})
        found.append({"title": f"a process for {count:,} x {DIM}", "turns": turns})
    return found


def main() -> None:
    """Do one thing and say how many bytes it took beyond the vectors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side")
    parser.add_argument("count", type=int)
    parser.add_argument("threads", type=int)
    options = parser.parse_args()
    vectors, labels = people(options.count)
    before = status("VmRSS")
    with threadpool_limits(options.threads):
        if options.side == "ours":
            ours_of(vectors, labels)
        elif options.side == "product alone":
            product(vectors, np.empty((options.count, options.count), np.float32))
        else:
            peers_of(vectors, labels, None)
    print(json.dumps({"bytes": status("VmHWM") - before}))


def status(name: str) -> int:
    """Return a number of bytes of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


if __name__ == "__main__":
    main()
