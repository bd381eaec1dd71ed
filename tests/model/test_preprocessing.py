"""Compared with numpy in double precision and with PIL, which shares no code with OpenCV."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from metricface.errors import DataError, ModelError
from metricface.model.description import Transform
from metricface.model.preprocessing import Preprocessing, central_crop, resize

PLAIN = Preprocessing(image_size=12, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.25))
SIDES = st.integers(1, 90)
NUMBERS = st.floats(0.01, 1)
VALUES = st.builds(
    Preprocessing,
    image_size=st.integers(1, 1024),
    mean=st.tuples(NUMBERS, NUMBERS, NUMBERS),
    std=st.tuples(NUMBERS, NUMBERS, NUMBERS),
    crop=NUMBERS,
)


def photo(height: int, width: int) -> np.ndarray:
    """Smooth and without any symmetry: flips, turns and swapped channels all show."""
    seeds = np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(seeds, (width, height), interpolation=cv2.INTER_CUBIC)


@given(SIDES, SIDES, st.floats(0.001, 1))
def test_a_crop_is_the_middle_and_keeps_at_least_a_pixel(height: int, width: int, share: float) -> None:
    image = np.stack([*np.indices((height, width)), np.zeros((height, width))], axis=-1).astype(np.uint8)
    found = central_crop(image, share)
    rows, columns = found.shape[:2]
    assert rows in (1, round(share * height))
    assert columns in (1, round(share * width))
    top, left = found[0, 0, :2].astype(int)
    assert 0 <= height - rows - 2 * top <= 1
    assert 0 <= width - columns - 2 * left <= 1
    assert np.array_equal(found, image[top : top + rows, left : left + columns])
    assert np.shares_memory(found, image)


def test_resize_gives_a_square_and_averages_when_it_shrinks() -> None:
    assert resize(photo(100, 80), 40).shape == (40, 40, 3)
    halves = photo(80, 80).reshape(40, 2, 40, 2, 3).mean(axis=(1, 3))
    assert np.abs(resize(photo(80, 80), 40) - halves).max() <= 1
    flat = np.full((20, 30, 3), 77, np.uint8)
    assert (resize(flat, 64) == 77).all()
    ramp = np.repeat(np.arange(0, 200, 10, dtype=np.uint8)[None, :, None], 20, 0).repeat(3, 2)
    assert (np.diff(resize(ramp, 60)[0, :, 0].astype(int)) >= 0).all()  # bilinear does not overshoot
    same = photo(40, 40)
    assert resize(same, 40) is same


@pytest.mark.parametrize("size", [30, 47, 64])
def test_shrinking_is_the_box_filter_of_pil(size: int) -> None:
    large = photo(150, 190)
    expected = np.asarray(Image.fromarray(large).resize((size, size), Image.Resampling.BOX))
    # PIL gives each pixel to one box whole, area averages share it out
    assert np.abs(resize(large, size).astype(int) - expected).mean() < 1.5
    rows, columns = (_shares(side, size) for side in large.shape[:2])
    averages = np.einsum("ay,yxc,bx->abc", rows, large.astype(float), columns)
    assert np.abs(resize(large, size) - averages).max() <= 0.51


def _shares(side: int, size: int) -> np.ndarray:
    """(size, side): how much of each pixel lies in each of `size` equal intervals, each row's sum 1."""
    edges = np.arange(size + 1) * side / size
    pixels = np.arange(side)
    inside = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return inside.clip(0) * size / side


def test_enlarging_is_bilinear() -> None:
    small = photo(20, 30)
    expected = np.asarray(Image.fromarray(small).resize((64, 64), Image.Resampling.BILINEAR))
    assert np.abs(resize(small, 64).astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(111, 250), (250, 111), (60, 400), (111, 113)])
def test_a_side_that_shrinks_is_averaged_while_the_other_grows(height: int, width: int) -> None:
    """Stripes of two pixels across the longer side are finer than what is left of it: they must fade, as PIL's do."""
    along = np.where(np.arange(max(height, width)) // 2 % 2, 255, 0).astype(np.uint8)
    stripes = np.broadcast_to(along if width > height else along[:, None], (height, width))
    striped = np.ascontiguousarray(np.dstack([stripes] * 3))
    expected = _shares(height, 112) if height > 112 else _linear(height, 112)
    columns = _shares(width, 112) if width > 112 else _linear(width, 112)
    wanted = np.einsum("ay,yxc,bx->abc", expected, striped.astype(float), columns)
    assert np.abs(resize(striped, 112) - wanted).max() <= 1.5
    pil = np.asarray(
        Image.fromarray(striped).resize((112, 112), Image.Resampling.BILINEAR)
    )  # reduces before it samples
    if max(height, width) >= 250:
        assert resize(striped, 112).std() < pil.std() + 30 < cv2.resize(striped, (112, 112)).std()


def _linear(side: int, size: int) -> np.ndarray:
    """(size, side): the two nearest pixels' weights of each of `size` places, as bilinear enlarging has them."""
    weights = np.zeros((size, side))
    for row, place in enumerate((np.arange(size) + 0.5) * side / size - 0.5):
        low = int(np.floor(place))
        for pixel, weight in ((low, 1 - (place - low)), (low + 1, place - low)):
            weights[row, min(max(pixel, 0), side - 1)] += weight
    return weights


@pytest.mark.parametrize(
    ("height", "width", "way"),
    [
        (150, 190, cv2.INTER_AREA),
        (112, 250, cv2.INTER_AREA),
        (60, 80, cv2.INTER_LINEAR),
        (60, 112, cv2.INTER_LINEAR),
    ],
)
def test_photos_that_shrink_or_grow_alone_are_as_opencv_has_them(height: int, width: int, way: int) -> None:
    image = photo(height, width)
    assert np.array_equal(resize(image, 112), cv2.resize(image, (112, 112), interpolation=way))


@settings(deadline=None)
@given(SIDES, SIDES, st.floats(0.01, 1), st.integers(1, 60))
def test_any_photo_becomes_a_square_and_no_value_leaves_its_range(
    height: int, width: int, crop: float, size: int
) -> None:
    image = photo(height, width)
    found = replace(PLAIN, crop=crop, image_size=size).square(image)
    assert (found.shape, found.dtype) == ((size, size, 3), np.uint8)
    kept = central_crop(image, crop).reshape(-1, 3)
    assert (kept.min(0) <= found.reshape(-1, 3)).all()
    assert (found.reshape(-1, 3) <= kept.max(0)).all()


def test_squares_become_a_normalised_batch() -> None:
    squares = [photo(12, 12), photo(12, 12)[::-1], photo(12, 12)[:, ::-1]]
    expected = (np.stack(squares).astype(float) / 255 - PLAIN.mean) / PLAIN.std
    found = PLAIN.tensor(squares)
    assert (found.shape, found.dtype) == ((3, 3, 12, 12), torch.float32)
    np.testing.assert_allclose(found.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-6)
    assert found.is_contiguous(memory_format=torch.channels_last)  # as the model is laid out
    assert torch.equal(PLAIN.tensor(np.stack(squares)), found)


def test_the_arithmetic_is_that_of_single_precision_in_one_order() -> None:
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    single = every.astype(np.float32)
    single /= np.float32(255)
    single -= np.array(PLAIN.mean, np.float32)
    single /= np.array(PLAIN.std, np.float32)
    assert np.array_equal(PLAIN.tensor(every).numpy(), single.transpose(0, 3, 1, 2))


def test_one_photo_goes_the_whole_way_and_is_not_changed() -> None:
    image = photo(50, 40)
    image.flags.writeable = False
    cropped = replace(PLAIN, crop=0.6)
    found = cropped(image)
    middle = Image.fromarray(image).crop((8, 10, 32, 40)).resize((12, 12), Image.Resampling.BOX)
    expected = (np.asarray(middle) / 255 - PLAIN.mean) / PLAIN.std
    assert found.shape == (3, 12, 12)
    assert np.abs(found.numpy() - expected.transpose(2, 0, 1)).mean() < 0.05
    assert torch.equal(found, cropped.tensor([cropped.square(image)])[0])


@given(VALUES)
def test_a_model_folder_gives_back_what_it_was_given(value: Preprocessing) -> None:
    stored = Transform.of(value).model_dump_json()
    assert Transform.model_validate_json(stored).preprocessing == value
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - as worker processes get it


def test_the_keys_of_a_model_folder_are_those_of_earlier_ones_in_their_order() -> None:
    assert list(Transform.of(PLAIN).model_dump(mode="json").items()) == [
        ("crop", 1.0),
        ("image_size", 12),
        ("resize", "square, aspect not kept"),
        ("colour", "RGB"),
        ("mean", [0.5, 0.4, 0.3]),
        ("std", [0.2, 0.3, 0.25]),
    ]


@pytest.mark.parametrize("key", ["resize", "colour"])
def test_words_that_nobody_here_follows_are_refused(key: str) -> None:
    stored = {**Transform.of(PLAIN).model_dump(mode="json"), key: "other"}
    with pytest.raises(ValidationError, match=rf"^1 validation error for Transform\n{key}\n  Input should be '"):
        Transform.model_validate(stored, strict=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [("image_size", 0), ("crop", 2.0), ("std", (1.0, 0.0, 1.0)), ("colour", "BGR"), ("interpolation", "nearest")],
)
def test_what_no_photo_could_be_prepared_by_is_refused(name: str, value: object) -> None:
    with pytest.raises(ModelError, match=f"^preprocessing: {name} cannot be {re.escape(repr(value))}"):
        Preprocessing(**{"image_size": 8, "mean": (0.5,) * 3, "std": (0.5,) * 3, name: value})


@pytest.mark.parametrize("photo", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.float32)], ids=["grey", "float"])
def test_a_photo_that_is_not_uint8_rgb_is_refused(photo: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"^photo: should be uint8 \(H, W, 3\) RGB \(got "):
        Preprocessing(image_size=8, mean=(0.5,) * 3, std=(0.5,) * 3)(photo)
