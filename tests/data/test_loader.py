from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.fakes import PREPROCESSING, InOrder, MemoryDataset

from metricface.contracts import Item, View
from metricface.data.loader import TrainLoader, condition_names
from metricface.data.photos import Photos, too_many
from metricface.errors import DataError
from metricface.machine import World


def test_photos_are_read_once_into_memory_and_cannot_be_changed() -> None:
    dataset = MemoryDataset()
    seen: list[tuple[int, int]] = []
    photos = Photos(dataset, PREPROCESSING, 1 << 20, lambda done, total: seen.append((done, total)))
    assert [np.array_equal(photos.read(i), dataset.images[i]) for i in range(24)] == [True] * 24
    assert dataset.reads == 24
    assert seen[-1] == (24, 24)
    assert photos.nbytes == 24 * 8 * 8 * 3
    with pytest.raises(ValueError, match="read-only"):
        photos.read(0)[0, 0, 0] = 1


def test_the_middle_of_each_photo_is_cropped_out_before_resizing() -> None:
    dataset = MemoryDataset()
    for budget in (1 << 20, 0):
        photos = Photos(dataset, replace(PREPROCESSING, image_size=4, crop=0.5), budget)
        assert all(np.array_equal(photos.read(i), dataset.images[i][2:6, 2:6]) for i in range(24))


def test_without_room_every_use_reads_the_file_and_a_notice_says_so() -> None:
    dataset = MemoryDataset()
    photos = Photos(dataset, PREPROCESSING, budget=100)
    photos.read(3)
    assert dataset.reads == 25
    assert photos.nbytes == 0
    assert "24 photos need 0.0 GiB decoded and do not fit the cache" in photos.notices[0]
    assert photos.notices[0].endswith("Raise data.cache_gib if there is memory.")


def test_a_few_unreadable_photos_are_listed_left_out_and_never_met_again() -> None:
    photos = Photos(MemoryDataset(broken=(7,)), PREPROCESSING, 1 << 20)
    assert len(photos) == 23
    assert "p1/1.png" not in {str(item.path) for item in photos.items}
    assert photos.notices == ["1 of 24 photos cannot be read and is left out: p1/1.png: not a photo"]
    assert np.array_equal(photos.read(7), MemoryDataset().images[8])


@pytest.mark.parametrize(
    ("unreadable", "total", "refused"),
    [
        (0, 5, False),
        (1, 1, True),
        (1, 2, False),
        (2, 2, True),
        (1, 19, False),
        (2, 19, True),
        (2, 40, False),
        (3, 40, True),
    ],
)
def test_one_unreadable_photo_is_none_too_many_unless_it_is_the_only_one(
    unreadable: int, total: int, refused: bool
) -> None:
    assert too_many(unreadable, total) == refused


def test_too_many_unreadable_photos_are_refused() -> None:
    with pytest.raises(DataError, match=r"^7 of 24 photos cannot be read, more than 5%: p0/0\.png: not a photo; .*"):
        Photos(MemoryDataset(broken=tuple(range(7))), PREPROCESSING, 1 << 20)
    with pytest.raises(DataError, match=r"p0/4\.png: not a photo; and 2 more\. Fix or remove them\.$"):
        Photos(MemoryDataset(broken=tuple(range(7))), PREPROCESSING, 1 << 20)


class Noise:
    """A transform that writes its random number into the photo."""

    makes = ("noisy",)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        return View(np.full_like(view.image, rng.integers(256)), "noisy", 2)


def test_a_batch_says_what_was_done_and_a_photo_drawn_twice_is_augmented_twice() -> None:
    class Twice(InOrder):
        def batches(self, epoch: int):
            yield [3, 3, 3, 3]

    dataset = MemoryDataset()
    loader = TrainLoader(dataset, Twice(1, 4), [Noise()], PREPROCESSING, batch_size=4, seed=1)
    (batch,) = loader.epoch(0)
    assert loader.condition_names == ("clean", "noisy")
    assert batch.conditions.tolist() == [1, 1, 1, 1]
    assert batch.indices.tolist() == [3] * 4
    assert len({float(image.mean()) for image in batch.images}) == 4
    (again,) = loader.epoch(0)
    (other,) = loader.epoch(1)
    assert torch.equal(batch.images, again.images)
    assert not torch.equal(batch.images, other.images)


def test_images_are_normalised_rgb() -> None:
    dataset = MemoryDataset()
    (batch, *_) = TrainLoader(dataset, InOrder(24, 5), [], PREPROCESSING, batch_size=5, seed=1).epoch(0)
    expected = (dataset.images[2].transpose(2, 0, 1) / 255 - 0.5) / 0.25
    torch.testing.assert_close(batch.images[2].numpy(), expected.astype(np.float32))
    assert batch.images.dtype == torch.float32
    assert batch.labels.dtype == batch.conditions.dtype == torch.int64
    assert batch.labels.tolist() == [0] * 5


def test_ranks_draw_different_augmentations() -> None:
    draws = []
    for rank in range(2):
        loader = TrainLoader(
            MemoryDataset(), InOrder(24, 5), [Noise()], PREPROCESSING, batch_size=5, seed=1, world=World(rank, 2)
        )
        draws.append([float(image.mean()) for batch in loader.epoch(0) for image in batch.images])
    assert sum(a == b for a, b in zip(*draws, strict=True)) < 3


def test_condition_names_put_clean_first() -> None:
    dataset = MemoryDataset()
    dataset.items = [Item(Path("a"), 0, "rainy"), Item(Path("b"), 0, "blurred"), Item(Path("c"), 0)]
    assert condition_names(dataset) == ("clean", "blurred", "rainy")
