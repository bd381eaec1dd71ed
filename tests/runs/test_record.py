"""What a run's record says of its threads, whole on a tiny tree."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.task_b_tree import make_tree, write_recipe

from metricface.components.registry import installed_registries
from metricface.contracts import Silent
from metricface.errors import Interrupted
from metricface.recipe.load import load_recipe
from metricface.runs.run import run
from metricface.training.state import StepDone

KNOWN = installed_registries()


class Notes(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_recipe(tmp_path, make_tree(tmp_path / "tree"))


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def recorded(folder: Path) -> int:
    threads: int = json.loads((folder / "run.json").read_text())["threads"]
    return threads


def test_a_run_computes_with_its_threads_and_records_them(recipe: Path, tmp_path: Path) -> None:
    seen: set[int] = set()
    one = load_recipe(recipe, ("train.threads=1", "train.epochs=1"), KNOWN)
    run(one, KNOWN, out=tmp_path / "run", observers=(lambda event: seen.add(torch.get_num_threads()),))
    assert (seen, recorded(tmp_path / "run"), torch.get_num_threads()) == ({1}, 1, 2)


def test_a_run_that_goes_on_with_other_threads_says_so(recipe: Path, tmp_path: Path) -> None:
    def stop(event: object) -> None:
        if isinstance(event, StepDone) and event.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    tiny, folder, notes = load_recipe(recipe, (), KNOWN), tmp_path / "run", Notes()
    with pytest.raises(Interrupted):
        run(tiny, KNOWN, out=folder, observers=(stop,))
    assert recorded(folder) == 2
    torch.set_num_threads(1)
    run(tiny, KNOWN, notes, out=folder, resume=True)
    told = [text for text in notes.said if text.startswith("train.threads: ")]
    assert told == [
        "train.threads: this run computed with 2 before and goes on with 1, so the last digits of its figures may "
        "differ. To go on as before, stop it and set OMP_NUM_THREADS=2."
    ]
    assert recorded(folder) == 1
