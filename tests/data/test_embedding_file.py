from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metricface.contracts import EmbeddingSet
from metricface.data.embedding_file import read_embeddings, write_embeddings
from metricface.errors import DataError

VECTORS = np.array([[1, 0, 0], [0.6, 0.8, 0], [0, 0.6, -0.8], [0, 0, 1]], np.float32)
LABELS = np.array([1, 0, 1, 0])
OURS = EmbeddingSet(
    vectors=VECTORS,
    norms=np.array([3.5, 1, 20, 0.25], np.float32),
    labels=LABELS,
    conditions=np.array([0, 2, 1, 0]),
    severities=np.array([0, 5, 3, 0]),
    sources=np.array(["k1", "", "k1", "k2"]),
    paths=np.array(["Ana/1.jpg", "é/\udce9.png", "a\nb", "d"]),
    label_names=("Zoë", "Bo\udcff"),
    condition_names=("clean", "blurred", "dark"),
    attributes={"role": np.array(["gallery", "probe", "\udc80", ""])},
)
IN_FILE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # every example writes the same file anew


def assert_equal(found: EmbeddingSet, expected: EmbeddingSet) -> None:
    assert found.attributes.keys() == expected.attributes.keys()
    for name in expected.attributes:
        assert found.attributes[name].tolist() == expected.attributes[name].tolist()
    for field in fields(EmbeddingSet):
        ours, theirs = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(theirs, np.ndarray):
            assert ours.dtype.kind == theirs.dtype.kind, field.name
            assert ours.dtype.kind == "U" or ours.dtype == theirs.dtype, field.name
            assert np.array_equal(ours, theirs), field.name
        elif field.name != "attributes":
            assert ours == theirs, field.name


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_embeddings(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}")
    return str(caught.value).removeprefix(f"{path}: ")


def written(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "e.npz", **{"vectors": VECTORS, "labels": LABELS, **arrays})
    return folder / "e.npz"


NAMES = st.lists(
    st.binary(min_size=1, max_size=6).map(os.fsdecode).filter(lambda name: not name.endswith("\0")),
    min_size=1,
    max_size=4,
    unique=True,
)


@IN_FILE
@given(names=NAMES, conditions=NAMES, paths=NAMES, count=st.integers(1, 9), dim=st.integers(1, 5), data=st.data())
def test_what_is_written_is_read_also_names_that_are_no_utf8(
    tmp_path: Path, names: list[str], conditions: list[str], paths: list[str], count: int, dim: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    vectors = rng.normal(size=(count, dim))
    ours = EmbeddingSet(
        vectors=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        norms=rng.random(count).astype(np.float32),
        labels=rng.integers(len(names), size=count),
        conditions=rng.integers(len(conditions) + 1, size=count),
        severities=rng.integers(6, size=count),
        sources=rng.choice(["", *paths], size=count),
        paths=rng.choice(paths, size=count),
        label_names=tuple(names),
        condition_names=("clean", *conditions),
        attributes={"role": rng.choice(paths, size=count)},
    )
    write_embeddings(tmp_path / "e.npz", ours, "model " + names[0])
    found = read_embeddings(tmp_path / "e.npz")
    assert_equal(found.embeddings, ours)
    assert (found.contract, found.notices) == ("model " + names[0], [])


def test_text_in_arrays_of_objects_is_written_without_pickle(tmp_path: Path) -> None:
    texts = {"paths": OURS.paths.astype(object), "sources": OURS.sources.astype(object)}
    loose = replace(OURS, **texts, attributes={"role": OURS.attributes["role"].astype(object)})
    write_embeddings(tmp_path / "e.npz", loose, "")
    assert_equal(read_embeddings(str(tmp_path / "e.npz")).embeddings, OURS)


def test_vectors_and_labels_alone_are_enough_and_the_rest_is_as_little_as_can_be(tmp_path: Path) -> None:
    found = read_embeddings(written(tmp_path))
    assert (found.contract, found.notices) == ("", [])
    assert_equal(
        found.embeddings,
        EmbeddingSet(
            vectors=VECTORS,
            norms=np.ones(4, np.float32),
            labels=np.array([1, 0, 1, 0]),
            conditions=np.zeros(4, np.int64),
            severities=np.zeros(4, np.int64),
            sources=np.full(4, ""),
            paths=np.array(["0", "1", "2", "3"]),
            label_names=("0", "1"),
            condition_names=("clean",),
        ),
    )


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (np.array([70, -5, 70, 8], np.int16), ("-5", "70", "8")),
        (np.array([2**64 - 1, 0, 0, 0], np.uint64), ("0", str(2**64 - 1))),
        (np.array(["b", "é", "b", "a"]), ("a", "b", "é")),
        (np.array(["b", "\udcff", "b", "a"]), ("a", "b", "\udcff")),
        (np.array(["b", "é", "b", "a"]).astype(">U1"), ("a", "b", "é")),
        (np.array([b"b", b"\xc3\xa9", b"\xff", b""]), ("", "b", "é", "\udcff")),
    ],
)
def test_people_are_told_by_numbers_or_text(save: Any, labels: np.ndarray, names: tuple, tmp_path: Path) -> None:
    save(tmp_path / "e.npz", vectors=VECTORS, labels=labels)
    found = read_embeddings(tmp_path / "e.npz").embeddings
    assert found.label_names == names
    texts = [os.fsdecode(label) if isinstance(label, bytes) else str(label) for label in labels]
    assert [names[label] for label in found.labels] == texts


@pytest.mark.parametrize(
    ("given", "numbers", "names"),
    [
        ({"conditions": np.array([0, 3, 0, 1])}, [0, 2, 0, 1], ("clean", "1", "3")),
        ({"conditions": np.array([2, 3, 3, 2], np.uint8)}, [1, 2, 2, 1], ("clean", "2", "3")),
        ({"conditions": np.array(["", "foggy", "clean", "bright"])}, [0, 2, 0, 1], ("clean", "bright", "foggy")),
        ({"conditions": np.array([b"", b"foggy", b"clean", b"a"])}, [0, 2, 0, 1], ("clean", "a", "foggy")),
        (
            {"conditions": np.array([0, 2, 0, 1]), "condition_names": np.array(["clean", "z", "a", "unused"])},
            [0, 2, 0, 1],
            ("clean", "z", "a", "unused"),
        ),
        (
            {"conditions": np.array([0, 2, 1, 1]), "condition_names": np.array([b"foggy", b"clean", b"dark"])},
            [2, 1, 0, 0],
            ("clean", "dark", "foggy"),
        ),
    ],
)
def test_conditions_are_numbers_or_text_and_number_0_is_clean(
    given: dict[str, np.ndarray], numbers: list[int], names: tuple[str, ...], tmp_path: Path
) -> None:
    found = read_embeddings(written(tmp_path, **given)).embeddings
    assert found.conditions.tolist() == numbers
    assert found.condition_names == names


def test_names_norms_severities_sources_paths_and_attributes_of_others_are_taken(tmp_path: Path) -> None:
    given = {
        "label_names": np.array([b"Ana", b"B\xc3\xb6"]),
        "norms": np.array([1, 2, 3, 4], np.float16),
        "severities": np.array([0, 1, 2, 5], np.uint8),
        "sources": np.array([10, 11, 10, 11]),
        "paths": np.array([b"a\xff", b"b", b"c", b"d"]),
        "attribute.role": np.array(["gallery", "probe", "", ""]),
    }
    found = read_embeddings(written(tmp_path, **given))
    assert found.notices == []
    assert found.embeddings.label_names == ("Ana", "Bö")
    assert found.embeddings.norms.tolist() == [1, 2, 3, 4]
    assert found.embeddings.norms.dtype == np.float32
    assert found.embeddings.severities.tolist() == [0, 1, 2, 5]
    assert found.embeddings.sources.tolist() == ["10", "11", "10", "11"]
    assert found.embeddings.paths.tolist() == ["a\udcff", "b", "c", "d"]
    assert found.embeddings.attributes["role"].tolist() == ["gallery", "probe", "", ""]


def test_what_nobody_asked_for_is_told_and_left(tmp_path: Path) -> None:
    path = written(tmp_path, thresholds=np.zeros(7), epoch=np.array(3))
    found = read_embeddings(path)
    assert found.notices == [f"{path}: was not asked for epoch, thresholds"]
    assert len(found.embeddings.labels) == 4


@pytest.mark.parametrize("dtype", ["f2", ">f4", "f8", ">f8", "longdouble", "i1", "i8", "u8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_other_numbers_become_float32_of_unit_length_and_it_is_told(dtype: str, order: str, tmp_path: Path) -> None:
    given = np.array([[3, 4, 0], [0, 0, 100], [1, 0, 0], [0, 5, 12]]).astype(dtype, order)
    path = written(tmp_path, vectors=given)
    found = read_embeddings(path)
    assert found.notices == [
        f"{path}: vectors are {given.dtype}, and were made float32",
        f"{path}: 3 of 4 vectors had not length 1 (1 to 100): divided by it",
    ]
    assert found.embeddings.vectors.dtype == np.float32
    assert found.embeddings.vectors.flags.c_contiguous
    assert found.embeddings.vectors == pytest.approx(given.astype(float) / np.array([[5], [100], [1], [13]]))
    assert found.embeddings.norms.tolist() == [5, 100, 1, 13]


@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_float64_has_a_direction_also_where_squares_leave_float32(factor: float, tmp_path: Path) -> None:
    found = read_embeddings(written(tmp_path, vectors=VECTORS.astype(float) * factor)).embeddings
    assert found.vectors == pytest.approx(VECTORS)
    assert found.norms == pytest.approx(np.full(4, factor))


@pytest.mark.parametrize(("factor", "what"), [(1e-60, "is zero, so it has no direction"), (1e60, "is not finite")])
def test_lengths_that_leave_float32_are_refused(factor: float, what: str, tmp_path: Path) -> None:
    path = written(tmp_path, vectors=VECTORS.astype(float) * factor)
    assert refusal(path) == f"vector 0 {what} (4 of 4). Take such rows out."


def test_unit_vectors_within_the_rounding_of_half_precision_stay_as_they_are(tmp_path: Path) -> None:
    given = VECTORS * np.float32(1.0005)
    found = read_embeddings(written(tmp_path, vectors=given))
    assert found.notices == []
    assert np.array_equal(found.embeddings.vectors, given)


@pytest.mark.parametrize(
    ("header", "rows", "expected"),
    [
        ("identity", ["a", "b", "a", "é"], {"label_names": ("a", "b", "é")}),
        ("label", ["3", "1", "3", "3"], {"label_names": ("1", "3")}),
        ("label,identity", ["3,a", "1,b", "3,a", "3,b"], {"label_names": ("a", "b")}),
        (
            "path,identity,condition,source,camera",
            ["1.jpg,a,,s,x", "2.jpg,b,foggy,,x", "3.jpg,a,clean,s,x", '"4, 5.jpg",b,dark,t,x'],
            {
                "label_names": ("a", "b"),
                "condition_names": ("clean", "dark", "foggy"),
                "conditions": [0, 2, 0, 1],
                "sources": ["s", "", "s", "t"],
                "paths": ["1.jpg", "2.jpg", "3.jpg", "4, 5.jpg"],
            },
        ),
    ],
)
def test_npy_with_a_csv_beside_it(header: str, rows: list[str], expected: dict[str, Any], tmp_path: Path) -> None:
    np.save(tmp_path / "some.model.npy", VECTORS)
    (tmp_path / "some.model.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    found = read_embeddings(tmp_path / "some.model.npy")
    assert (found.contract, found.notices) == ("", [])
    for name, value in expected.items():
        there = getattr(found.embeddings, name)
        assert (there.tolist() if isinstance(there, np.ndarray) else there) == value
    assert np.array_equal(found.embeddings.vectors, VECTORS)


NOT_WHOLE = "neither whole numbers nor text."


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"vectors": np.where(VECTORS == 1, np.nan, VECTORS)}, "vector 0 is not finite (2 of 4). Take such rows out."),
        ({"vectors": np.where(VECTORS == 0.8, np.inf, 1)}, "vector 1 is not finite (1 of 4). Take such rows out."),
        ({"vectors": VECTORS * [[1], [1], [0], [1]]}, "vector 2 is zero, so it has no direction (1 of 4). Take such "),
        ({"vectors": VECTORS[:0]}, "vectors are float32 (0, 3), not numbers (N, D) of one at least. A file of embed"),
        ({"vectors": VECTORS[:, :0]}, "vectors are float32 (4, 0), not numbers (N, D) of one at least."),
        ({"vectors": VECTORS[0]}, "vectors are float32 (3,), not numbers (N, D) of one at least."),
        ({"vectors": VECTORS.astype(complex)}, "vectors are complex128 (4, 3), not numbers"),
        ({"vectors": VECTORS.astype(str)}, "vectors are <U32 (4, 3), not numbers"),
        ({"vectors": VECTORS > 0}, "vectors are bool (4, 3), not numbers"),
        ({"labels": LABELS[:3]}, "labels is (3,), not (4,) as there are vectors. A file of embeddings is .npz with"),
        ({"labels": LABELS[:, None]}, "labels is (4, 1), not (4,) as there are vectors."),
        ({"paths": np.array(["a"])}, "paths is (1,), not (4,) as there are vectors."),
        ({"attribute.role": np.array("a")}, "attribute.role is (), not (4,) as there are vectors."),
        ({"labels": LABELS + 0.5}, f"labels: are float64, {NOT_WHOLE}"),
        ({"labels": LABELS > 0}, f"labels: are bool, {NOT_WHOLE}"),
        ({"labels": LABELS.astype("M8[s]")}, f"labels: are datetime64[s], {NOT_WHOLE}"),
        ({"conditions": LABELS * 1.0}, f"conditions: are float64, {NOT_WHOLE}"),
        ({"label_names": np.array(["a"])}, "labels: go from 0 to 1, and there are 1 names for them."),
        ({"label_names": np.array(["a", "b"]), "labels": LABELS - 1}, "labels: go from -1 to 0, and there are 2 names"),
        ({"label_names": np.array([["a", "b"]])}, "labels: go from 0 to 1, and there are 2 names for them."),
        ({"label_names": np.array([], str)}, "labels: go from 0 to 1, and there are 0 names for them."),
        ({"label_names": np.array([1j, 2j])}, "labels: names: are complex128, not text."),
        ({"label_names": np.array(["a", "b"]), "labels": LABELS * 1.0}, "labels: are float64, not whole numbers."),
        (
            {"condition_names": np.array(["a"]), "conditions": LABELS},
            "conditions: go from 0 to 1, and there are 1 names",
        ),
        ({"severities": LABELS * 1.0}, "severities: are float64, not whole numbers."),
        ({"norms": np.array(list("abcd"))}, "norms are <U1, and not finite numbers all of them."),
        ({"norms": LABELS * np.nan}, "norms are float64, and not finite numbers all of them."),
        ({"paths": LABELS * 1j}, "paths: are complex128, not text."),
        ({"sources": LABELS.astype("V4")}, "sources: are |V4, not text."),
        ({"attribute.role": LABELS * 1j}, "attribute.role: are complex128, not text."),
        ({"contract": np.array(["a", "b"])}, "contract is <U1 (2,), not one text."),
        ({"contract": np.array(5)}, "contract is int64 (), not one text."),
        (
            {"labels": np.array([{}] * 4, object)},
            "cannot be read as .npz (it holds objects of Python, which only pickl",
        ),
    ],
)
def test_what_no_embeddings_are_is_refused_by_name(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    assert refusal(written(tmp_path, **arrays)).startswith(message)


def test_a_file_that_lacks_something_says_what_it_has(tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", embeddings=VECTORS, labels=LABELS)
    assert refusal(tmp_path / "e.npz").startswith("has no vectors (got embeddings, labels). A file of embeddings is")
    np.savez(tmp_path / "e.npz", vectors=VECTORS)
    assert refusal(tmp_path / "e.npz").startswith("has no labels (got vectors).")
    np.savez(tmp_path / "e.npz")
    assert refusal(tmp_path / "e.npz").startswith("has no vectors (got nothing).")


def test_a_missing_file_a_folder_and_another_suffix_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "e.pt").write_bytes(b"")
    assert refusal(tmp_path / "gone.npz").startswith("no such file. A file of embeddings is .npz with vectors (N, D)")
    assert refusal(tmp_path / "folder.npz").startswith("no such file.")
    assert refusal(tmp_path / "e.pt").startswith("no file of embeddings by its suffix.")


def test_a_file_that_may_not_be_opened_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = written(tmp_path)
    np.save(tmp_path / "e.npy", VECTORS)
    monkeypatch.setattr(Path, "open", refuse)
    assert refusal(path) == "cannot be read as .npz ([Errno 13] Permission denied). Get it again."
    assert refusal(tmp_path / "e.npy") == "cannot be read as .npy ([Errno 13] Permission denied). Get it again."


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "{csv}: no such file, and the .npy beside it holds vectors alone. A file of embeddings is"),
        ("name\na\nb\nc\nd\n", "{npy}: has no labels (got vectors)."),
        ("identity\na\nb\n", "{npy}: labels is (2,), not (4,) as there are vectors."),
        ("identity\n", "{csv}: lists no photo."),
        ("identity,identity\na,b\n", "{csv}:1: the column 'identity' is there twice."),
    ],
)
def test_a_csv_that_does_not_fit_is_refused(table: str | None, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "e.npy", VECTORS)
    if table is not None:
        (tmp_path / "e.csv").write_text(table)
    with pytest.raises(DataError) as caught:
        read_embeddings(tmp_path / "e.npy")
    assert str(caught.value).startswith(message.format(csv=tmp_path / "e.csv", npy=tmp_path / "e.npy"))
