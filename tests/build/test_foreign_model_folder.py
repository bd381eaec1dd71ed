"""Model folders of other people's hands: no number, size or name in one takes memory, the network or a traceback."""

from __future__ import annotations

import copy
import json
import os
import resource
import shutil
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.tiny_model import KNOWN, described, description, parent, put, refusal, write

from metricface.build.model_folder import load_model
from metricface.errors import MetricFaceError


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("written") / "model")


@pytest.fixture
def model(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "model"))


def header(tensors: dict[str, int], length: int | None = None) -> bytes:
    """Return the beginning of a safetensors file of float32 tensors with so many numbers each."""
    places, end = {}, 0
    for name, count in tensors.items():
        places[name] = {"dtype": "F32", "shape": [count], "data_offsets": [end, end + 4 * count]}
        end += 4 * count
    text = json.dumps(places).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text


HUGE = 49_000_000_000  # numbers; 196 GB
SIZES = {
    "longer than its header says": (header({"w": 2}), 200 * 10**9, "incomplete metadata, file not fully covered"),
    "shorter than its header says": (header({"w": 200}), 200, "incomplete metadata, file not fully covered"),
    "header beyond the file": (header({"w": 2}, length=10**6), 100, "invalid header length"),
    "header of 100 GB": (header({"w": 2}, length=10**11), 200 * 10**9, "header too large"),
    "header of all there is": (header({"w": 2}, length=2**64 - 1), 200 * 10**9, "header too large"),
    "three bytes": (b"abc", 3, "header too small"),
    "as large as it says": (header({"w": HUGE}), len(header({"w": HUGE})) + 4 * HUGE, ""),
}


@pytest.mark.parametrize("case", list(SIZES))
@pytest.mark.parametrize("name", ["model.safetensors", "head.safetensors"])
def test_a_file_of_another_size_than_it_should_have_is_not_read(
    name: str, case: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, size, reason = SIZES[case]
    (model / name).write_bytes(start)
    os.truncate(model / name, size)  # sparse: it takes no disk
    read = Path.read_bytes

    def read_what_is_small(path: Path) -> bytes:
        assert path != model / name, "200 GB were read"
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_what_is_small)
    if case != "as large as it says":
        assert refusal(model) == (
            f"{model}: not a readable model ({name}: SafetensorError: Error while deserializing header: {reason}"
            + refusal(model).partition(reason)[2]
        )
        return
    monkeypatch.setattr("metricface.model.folder.memory_size", lambda: 2**34)
    assert refusal(model) == (
        f"{model}: {name} has 182.5 GiB, and this machine 16.0 GiB of memory. "
        "Copy it again if it should be smaller, or use a larger machine."
    )
    monkeypatch.setattr("metricface.model.folder.memory_size", lambda: sys.maxsize)
    assert f"{model}: {name} does not hold the weights of the " in (said := refusal(model))
    assert f"w ({HUGE},) in the file, missing in the model" in said or "..." in said or "missing in the file" in said


def test_a_long_description_is_not_read(model: Path) -> None:
    os.truncate(model / "model.json", 2**40)
    assert refusal(model) == (
        f"{model}: not a readable model (model.json: 1,099,511,627,776 bytes are more than any description has). "
        "Train or copy it again."
    )


def test_weights_of_another_network_are_told_by_name_and_shape(model: Path) -> None:
    document = described(model)
    document["embedding"]["dim"] = 9
    put(model, document)
    assert refusal(model) == (
        f"{model}: model.safetensors does not hold the weights of the timm that model.json describes (5 of 96 tensors "
        "differ: embedding.0.weight (8, 96) in the file, (9, 96) in the model; embedding.1.bias (8,) in the file, (9,) "
        "in the model; embedding.1.running_mean (8,) in the file, (9,) in the model). Copy both again."
    )


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (("embedding", "dim"), 2_000_000_000, "embedding.dim should be less than or equal to 65536"),
        (("transform", "image_size"), 1_000_000, "transform.image_size should be less than or equal to 2048"),
        (("transform", "mean", 0), 1e300, "transform.mean.0 should be less than or equal to 1000"),
        (("transform", "std", 1), 1e-300, "transform.std.1 should be greater than or equal to 0.001"),
        (("head", "class_counts", 2), 2**63, "head.class_counts.2 should be less than 2147483648"),
        (("labels",), ["Ann"], "head.class_counts has 3 numbers, labels 1 names"),
    ],
)
def test_numbers_out_of_bounds_are_refused_by_name(
    place: tuple[Any, ...], value: Any, reason: str, model: Path
) -> None:
    document = described(model)
    parent(document, place)[place[-1]] = value
    put(model, document)
    assert refusal(model) == f"{model}: not a readable model (model.json: {reason}). Train or copy it again."


def test_a_number_of_5000_digits_is_one_line(model: Path) -> None:
    file = model / "model.json"
    file.write_text(file.read_text().replace('"format": 3', '"more": ' + "9" * 5000 + ', "format": 3'))
    assert refusal(model).startswith(f"{model}: not a readable model (model.json: ")


@pytest.mark.parametrize(
    ("part", "name", "arguments"),
    [
        ("backbone", "iresnet", {"depth": 18, "feature_dim": 2_000_000_000}),
        ("backbone", "timm", {"model": "test_vit", "arguments": {"embed_dim": 64_000_000}}),
        ("backbone", "timm", {"model": "test_vit", "arguments": {"embed_dim": 512, "depth": 100_000}}),
        ("head", "subcenter-arcface", {"sub_centers": 10**9}),
    ],
)
def test_a_network_larger_than_its_weights_is_not_made(
    part: str, name: str, arguments: dict[str, Any], model: Path
) -> None:
    document = described(model)
    document[part].update(name=name, arguments=arguments)
    put(model, document)
    before = largest_memory()
    assert refusal(model) == (
        f"{model / 'model.json'}: {name} of these arguments takes far more memory than the weights beside it have. "
        "Copy the model folder again."
    )
    assert largest_memory() - before < 2**30


def largest_memory() -> int:
    """Return the most bytes that this process has had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def places(part: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where everything stands in a document."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        yield (*place, key)
        yield from places(value, (*place, key))


GONE = object()
EXTREMES = [
    *(GONE, None, True, "", "x", "\ud800", "hf_hub:mf/face", "imagenet", [], {}, [[]], {"x": 1}, [0] * 40),
    *(
        0,
        -1,
        1,
        2,
        7,
        2**31,
        2**63,
        -(2**63),
        2**64,
        10**400,
        0.0,
        -0.0,
        1e-320,
        1e308,
        -1e308,
        float("nan"),
        float("inf"),
    ),
]


CHANGES = [(place, value) for place in places(description("", "")) for value in EXTREMES]


def load_changed(folder: Path, *changes: tuple[tuple[Any, ...], Any]) -> None:
    """Load a model folder with changes in its description: a model, or one line, and no more than 1 GiB of memory."""
    document = copy.deepcopy(described(folder))
    for place, value in changes:
        try:
            if value is GONE:
                del parent(document, place)[place[-1]]
            else:
                parent(document, place)[place[-1]] = copy.deepcopy(value)
        except (LookupError, TypeError):  # another change took its place away
            continue
    changed = folder.with_name("changed")
    put(changed, document)
    before, said = largest_memory(), ""
    try:
        load_model(changed, KNOWN)
    except MetricFaceError as error:
        said = str(error)
    assert "\n" not in said
    assert largest_memory() - before < 2**30


@pytest.fixture(scope="module")
def changed(written: Path) -> Path:
    """A folder beside which there is one to be changed."""
    shutil.copytree(written, written.with_name("changed"))
    return written


@pytest.mark.parametrize("place", list(places(description("", ""))), ids=lambda place: ".".join(map(str, place)))
def test_no_change_gives_anything_but_a_model_or_one_line(place: tuple[Any, ...], changed: Path) -> None:
    for value in EXTREMES:
        load_changed(changed, (place, value))


def test_what_torch_says_of_an_argument_is_one_line(model: Path) -> None:
    document = described(model)
    document["backbone"]["arguments"].update(model="test_vit", arguments={"embed_dim": 2**64})
    put(model, document)
    assert (said := refusal(model)).startswith(
        f"{model / 'model.json'}: backbone.arguments: test_vit does not take them ("
    )
    assert "Overflow when unpacking long" in said


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.sampled_from(CHANGES), min_size=2, max_size=4))
def test_no_changes_together_do(changes: list[tuple[tuple[Any, ...], Any]], changed: Path) -> None:
    load_changed(changed, *changes)
