"""TensorBoard's own reader finds what was logged, and nothing twice after a run went on."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path

import pytest

from metricface.contracts import TrackedRun
from metricface.testing import check_tracker

reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

from metricface.components.trackers.tensorboard import TensorBoard  # noqa: E402


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found = reader.EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    found.Reload()
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_it_keeps_the_contract() -> None:
    check_tracker(TensorBoard)


def test_steps_that_are_done_again_are_there_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(1_800_000_000)  # a run goes on later: files are read in the order of the seconds in their names
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    first = TensorBoard()
    before = first.start(TrackedRun("try", tmp_path, {"head.margin": 0.4}))
    for step in (1, 2, 3):
        first.log(step, {"losses/triplet": step / 4})
    first.finish("interrupted")
    again = TensorBoard()
    assert again.start(TrackedRun("try", tmp_path, {}, 2, before)) == before
    again.log(3, {"losses/triplet": 0.5})
    again.finish("finished")
    assert scalars(tmp_path) == {"losses/triplet": [(1, 0.25), (2, 0.5), (3, 0.5)]}
