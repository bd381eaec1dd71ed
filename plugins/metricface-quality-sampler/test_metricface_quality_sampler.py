from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metricface_quality_sampler import QualitySampler, drawn, sharpness

from metricface.components.registry import Registry
from metricface.contracts import KINDS, Item
from metricface.errors import DataError
from metricface.testing import check_sampler


class Drawn:
    """Photos in memory."""

    def __init__(self, images: list[npt.NDArray[np.uint8]]) -> None:
        self.images = images
        self.items: Sequence[Item] = [Item(Path(f"{number}.png"), 0) for number in range(len(images))]
        self.label_names: tuple[str, ...] = ("a",)
        self.notices: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> npt.NDArray[np.uint8]:
        return self.images[index]


NOISE = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
SHARP = cv2.resize(NOISE, (48, 48), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
SOFT = cv2.GaussianBlur(SHARP, (0, 0), 4.0).astype(np.uint8)
FLAT = np.full_like(SHARP, 90)


def sampler_of(images: list[npt.NDArray[np.uint8]], labels: list[int], power: float = 1.0) -> QualitySampler:
    return QualitySampler(dataset=Drawn(images), labels=np.array(labels), batch_size=4, seed=1, power=power)


def counted(sampler: QualitySampler, epochs: int) -> Counter[int]:
    return Counter(index for epoch in range(epochs) for batch in sampler.batches(epoch) for index in batch)


def test_it_keeps_the_contract() -> None:
    check_sampler(QualitySampler)


def test_a_recipe_finds_it_by_name() -> None:
    assert Registry(KINDS["sampler"]).load("metricface-quality-sampler:quality") is QualitySampler


def test_sharpness_is_the_variance_of_the_laplacian_of_the_smoothed_grey_photo() -> None:
    grey = np.rint(SHARP @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    padded = np.pad(cv2.GaussianBlur(grey, (0, 0), 1.0).astype(float), 1, mode="reflect")
    around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    assert sharpness(SHARP) == pytest.approx((around - 4 * padded[1:-1, 1:-1]).var() + 20 / 12, rel=0.02)
    assert sharpness(SHARP) > 3 * sharpness(SOFT) > 3 * sharpness(FLAT) > 0


def test_noise_counts_less_than_without_smoothing() -> None:
    rng = np.random.default_rng(0)
    noisy = np.clip(SHARP + rng.normal(0, 12, SHARP.shape), 0, 255).astype(np.uint8)

    def plain(image: npt.NDArray[np.uint8]) -> float:
        return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())

    assert 1 < sharpness(noisy) / sharpness(SHARP) < 0.6 * plain(noisy) / plain(SHARP)


def test_photos_are_drawn_in_proportion_to_their_sharpness_within_their_class() -> None:
    images, labels = [SHARP, SOFT, FLAT, SOFT, FLAT], [0, 0, 0, 1, 1]
    sampler = sampler_of(images, labels)
    found, values = counted(sampler, 600), [sharpness(image) for image in images]
    for photos in ([0, 1, 2], [3, 4]):
        assert sum(found[photo] for photo in photos) == 600 * len(photos)  # the class keeps its share
        total = sum(values[photo] for photo in photos)
        for photo in photos:
            wanted = len(photos) * values[photo] / total
            assert found[photo] / 600 == pytest.approx(wanted, abs=0.07)
    first, second = sum(values[:3]), sum(values[3:])
    assert sampler.notices == (
        f"sampler quality: photos are drawn {3 * values[2] / first:.2f} to {3 * values[0] / first:.2f} "
        f"times per epoch by their sharpness (median {2 * values[4] / second:.2f})",
    )


def test_power_0_draws_every_photo_once_and_a_larger_one_fewer_blurred_ones() -> None:
    images, labels = [SHARP, SOFT, FLAT] * 2, [0] * 6
    assert set(counted(sampler_of(images, labels, power=0.0), 5).values()) == {5}
    drawn_soft = [counted(sampler_of(images, labels, power=power), 200)[1] for power in (0.0, 0.5, 1.0)]
    assert drawn_soft == sorted(drawn_soft, reverse=True)
    assert len(set(drawn_soft)) == 3


@settings(max_examples=200)
@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=30), st.integers(0, 10**6))
def test_draws_are_the_expected_ones_rounded_and_none_is_lost(weights: list[float], seed: int) -> None:
    expected = np.array(weights) / np.mean(weights)
    counts = drawn(expected, np.random.default_rng(seed))
    assert counts.sum() == len(weights)
    assert (np.abs(counts - expected) < 1 + 1e-6).all()


def test_no_photos_are_refused() -> None:
    with pytest.raises(DataError, match=r"^sampler quality: there are no photos\. Look at \[data\] root"):
        sampler_of([], [])
