from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from metricface.training.measured_before import cache_folder, recall, remember

CONDITIONS = {"backbone": {"model": "resnet18", "sizes": (1, 2)}, "image_size": 112}
FOUND = {"name": "fp32", "reason": "fp32: slow"}


def only_file() -> Path:
    (path,) = cache_folder().iterdir()
    return path


def test_what_was_measured_is_known_under_equal_conditions_alone() -> None:
    assert recall(CONDITIONS) is None
    remember(CONDITIONS, FOUND)
    assert recall({"image_size": 112, "backbone": {"sizes": [1, 2], "model": "resnet18"}}) == FOUND
    assert recall({**CONDITIONS, "image_size": 128}) is None
    remember(CONDITIONS, {**FOUND, "name": "bf16"})
    assert recall(CONDITIONS) == {**FOUND, "name": "bf16"}


DAMAGE: dict[str, Callable[[Path], object]] = {
    "half of it": lambda path: path.write_bytes(path.read_bytes()[:40]),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "a list": lambda path: path.write_text("[1]"),
    "a number": lambda path: path.write_text("3"),
    "nothing found": lambda path: path.write_text(json.dumps({"conditions": CONDITIONS})),
    "found no table": lambda path: path.write_text(json.dumps({"conditions": CONDITIONS, "found": "fp32"})),
    "of others": lambda path: path.write_text(json.dumps({"conditions": {}, "found": FOUND})),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_is_ignored_and_written_anew(name: str) -> None:
    remember(CONDITIONS, FOUND)
    DAMAGE[name](only_file())
    assert recall(CONDITIONS) is None
    remember(CONDITIONS, FOUND)
    assert recall(CONDITIONS) == FOUND


def test_where_nothing_can_be_written_it_is_measured_again(nothing_measured_before: Path) -> None:
    (nothing_measured_before / "measured").write_text("a file where the folder would be")
    remember(CONDITIONS, FOUND)
    assert recall(CONDITIONS) is None
