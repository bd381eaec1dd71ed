"""What does a distortion cost, as a multiple of a plain OpenCV blur of the same photo?

    python benchmarks/distortions.py [--photos N] [--side PIXELS]

Every distortion and the blur (`cv2.GaussianBlur`, sigma 2) take turns on the same synthetic photos in one process, at
every severity; the figure is the median over turns of the ratio of two neighbours, in seconds of the thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from methods import HERE, machine

from metricface.components.registry import installed_registries
from metricface.data.images import limit_threads
from metricface.files import write_json, write_text

SEVERITIES = range(1, 6)


def main() -> None:
    """Measure, print and write benchmarks/distortions.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--side", type=int, default=250)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    limit_threads()
    photos = [_photo(number, options.side) for number in range(options.photos)]
    known = installed_registries()["distortion"]
    found = {name: _ratios(known.load(name)(), photos) for name in known.names()}
    conditions = {**machine(threads=1), "opencv": cv2.__version__, "photos": len(photos), "side": options.side}
    document = {"conditions": conditions, "times_a_blur": found}
    write_json(options.out / "distortions.json", document)
    write_text(options.out / "distortions.md", _table(document))
    print(_table(document))


def _photo(number: int, side: int) -> npt.NDArray[np.uint8]:
    """Return a photo-like field: noise of falling strength from coarse to fine."""
    rng = np.random.default_rng(number)
    total = np.zeros((side, side, 3), np.float32)
    for cells in (4, 16, 64):
        total += cv2.resize(rng.random((cells, cells, 3), dtype=np.float32), (side, side)) * (4 / cells)
    photo: npt.NDArray[np.uint8] = np.clip(255 * total / total.max(), 0, 255).astype(np.uint8)
    return photo


def _ratios(distortion: Any, photos: list[npt.NDArray[np.uint8]]) -> dict[str, float]:
    """Return severity -> median ratio to the blur that ran just before."""
    found = {}
    for severity in SEVERITIES:
        ratios = []
        for number, photo in enumerate(photos):
            blur = _seconds(partial(cv2.GaussianBlur, photo, (0, 0), 2))
            own = _seconds(partial(distortion, photo, severity, np.random.default_rng(number)))
            ratios.append(own / blur)
        found[str(severity)] = median(ratios)
    return found


def _seconds(work: Callable[[], object]) -> float:
    started = time.thread_time()
    work()
    return time.thread_time() - started


def _table(document: dict[str, Any]) -> str:
    """Return the result as Markdown."""
    told = ", ".join(f"{key} {value}" for key, value in document["conditions"].items())
    lines = ["# What a distortion costs, in plain OpenCV blurs (sigma 2) of the same photo", "", told, ""]
    lines += ["| distortion | severity 1 | 2 | 3 | 4 | 5 |", "|---|---:|---:|---:|---:|---:|"]
    for name, ratios in document["times_a_blur"].items():
        lines.append(f"| {name} | " + " | ".join(f"{ratio:.1f}" for ratio in ratios.values()) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
