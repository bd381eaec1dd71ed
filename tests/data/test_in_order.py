from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from support.fakes import PREPROCESSING, MemoryDataset

from metricface.data import in_order, photos
from metricface.data.in_order import batches_in_order
from metricface.data.photos import PhotoFiles
from metricface.errors import DataError


@pytest.mark.parametrize("workers", [0, 2])
def test_photos_come_in_order_and_those_that_cannot_be_read_with_the_reason(workers: int) -> None:
    dataset = MemoryDataset(broken=(1, 6, 7, 8, 9, 10, 11))
    batches = list(batches_in_order(dataset, PREPROCESSING, batch_size=6, workers=workers))
    assert [list(batch.numbers) for batch in batches] == [[0, 2, 3, 4, 5], [], [*range(12, 18)], [*range(18, 24)]]
    assert batches[0].unreadable == {1: "p0/1.png: not a photo"}
    assert list(batches[1].unreadable) == [6, 7, 8, 9, 10, 11]
    for batch in batches:
        assert len(batch.images) == len(batch.numbers)
        for number, image in zip(batch.numbers, batch.images, strict=True):
            expected = (dataset.images[number].transpose(2, 0, 1) / 255 - 0.5) / 0.25
            np.testing.assert_allclose(image.numpy(), expected, atol=1e-6)


def test_no_more_than_a_batch_is_read_before_it_is_asked_for() -> None:
    dataset = MemoryDataset()
    batches = batches_in_order(dataset, PREPROCESSING, batch_size=5)
    assert dataset.reads == 0
    for number, _ in enumerate(batches, 1):
        assert dataset.reads == min(5 * number, 24)


def test_photos_are_read_by_a_thread_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_order, "usable_cores", lambda: 3)
    together = threading.Barrier(3, timeout=20)

    class Slow(MemoryDataset):
        def read(self, index: int) -> np.ndarray:
            together.wait()  # nobody is alone
            return super().read(index)

    assert len(list(batches_in_order(Slow(people=1, photos=6), PREPROCESSING, batch_size=3))) == 2


def test_torchs_random_numbers_are_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(batches_in_order(MemoryDataset(), PREPROCESSING, batch_size=5))
    assert torch.equal(torch.get_rng_state(), before)


def test_files_are_read_when_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "read_image", lambda path: np.full((30, 20, 3), int(path.stem), np.uint8))
    files = PhotoFiles([Path("7.png"), Path("9.png")], PREPROCESSING)
    assert len(files) == 2
    assert np.array_equal(files.read(1), np.full((8, 8, 3), 9))
    monkeypatch.undo()
    with pytest.raises(DataError, match=r"gone\.png: cannot be read"):
        PhotoFiles([tmp_path / "gone.png"], PREPROCESSING).read(0)
