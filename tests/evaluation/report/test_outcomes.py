from __future__ import annotations

import re
from pathlib import Path

import pytest

from metricface.contracts.results import Result
from metricface.errors import DataError, EvaluationError
from metricface.evaluation.report.outcomes import read_outcomes, relative_paths, write_outcomes


def result(outcomes: dict[str, list]) -> Result:
    return Result(outcomes=outcomes)


def test_what_is_written_is_read_again_with_paths_that_no_longer_say_where_the_data_lay(tmp_path: Path) -> None:
    outcomes = {
        "path": ["/data/val/Zoë, jr/a.png", "/data/val/bob/distortion/x \udcff.png"],  # not UTF-8 on disk
        "rank": [1, 12],
        "score": [0.1, -2.5e-08],
        "person": ['Zoë "Z", jr', ""],
    }
    write_outcomes(tmp_path / "run" / "outcomes", {"identification": result(outcomes), "other": result({})})
    assert [path.name for path in (tmp_path / "run" / "outcomes").iterdir()] == ["identification.csv"]
    assert read_outcomes(tmp_path / "run" / "outcomes") == {
        "identification": {
            "path": ["Zoë, jr/a.png", "bob/distortion/x \udcff.png"],
            "rank": ["1", "12"],
            "score": ["0.1", "-2.5e-08"],
            "person": ['Zoë "Z", jr', ""],
        }
    }


def test_formulas_are_written_as_text_and_read_as_they_were(tmp_path: Path) -> None:
    outcomes = {"path": ["=1+1.jpg", "a.jpg"], "person": ["@ann", "'-bob"], "margin": ["-0.5", "0.5"]}
    write_outcomes(tmp_path, {"identification": result(outcomes)})
    text = (tmp_path / "identification.csv").read_text()
    assert text == "path,person,margin\n'=1+1.jpg,'@ann,-0.5\na.jpg,''-bob,0.5\n"
    assert read_outcomes(tmp_path) == {"identification": outcomes}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/d/val/ann/1.png", "/d/val/bob/distortion/2.png"], ["ann/1.png", "bob/distortion/2.png"]),
        (["data/val/ann/1.png", "data/val/bob/1.png"], ["ann/1.png", "bob/1.png"]),
        (["ann/1.png", "bob/1.png"], ["ann/1.png", "bob/1.png"]),
        (["/d/ann/1.png", "/d/ann/distortion/1_foggy.png"], ["1.png", "distortion/1_foggy.png"]),
        (["/d/ann/1.png"], ["1.png"]),
        (["/d/ann/1.png", "bob/1.png"], ["/d/ann/1.png", "bob/1.png"]),
        ([], []),
    ],
)
def test_paths_are_relative_to_the_folder_that_they_share(paths: list[str], expected: list[str]) -> None:
    assert relative_paths(paths) == expected


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"path,rank\na.png,1\nb.png\n", "identification.csv: row 3 has 1 fields, the first has 2. Run or evaluate"),
        (b"", "identification.csv: not a table of outcomes ("),
        (b'path,rank\n"a.png,1\n', "identification.csv: not a table of outcomes (unexpected end of data). Run or"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "outcomes").mkdir()
    (tmp_path / "outcomes" / "identification.csv").write_bytes(content)
    with pytest.raises(DataError) as error:
        read_outcomes(tmp_path / "outcomes")
    assert reason in str(error.value)


def test_a_name_that_no_file_can_have_is_written_and_read_again(tmp_path: Path) -> None:
    names = ["metricface:classification", "classification-2", "a/b\\c", "100 %", "Ähnlichkeit"]
    write_outcomes(tmp_path, {name: result({"path": [f"{number}.png"]}) for number, name in enumerate(names)})
    files = [path.name for path in tmp_path.iterdir()]
    assert {"metricface%3Aclassification.csv", "classification-2.csv"} <= set(files)
    assert all(re.fullmatch(r"[A-Za-z0-9._%-]+", name) for name in files)
    assert read_outcomes(tmp_path).keys() == set(names)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"the columns of outcomes are not of one length \(path 2, rank 1\)\."):
        result({"path": ["a", "b"], "rank": [1]})
