"""Mean and standard deviation over runs, against numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricface.contracts.results import Reading, Refusal, Result, Row, Value
from metricface.runs.seeds import spread


def result(value: float, *, n: int = 8, blurred: bool = True) -> dict:
    figures = {"rank1": Value(value, n, (0.1, 0.9))}
    rows = (Row("clean", figures), *((Row("blurred", {"rank1": Value(value / 2, n)}),) if blurred else ()))
    refusals = () if blurred else (Refusal("blurred.rank1", "no blurred photo"),)
    return Result("identification", (Reading("same-source", figures, rows, {"left_out": 3}),), (), refusals).to_json()


def test_every_figure_and_row_against_numpy() -> None:
    values = [0.5, 0.75, 0.8]
    found = spread([result(value) for value in values])["same-source"]
    assert found["rank1"]["values"] == values
    assert found["rank1"]["runs"] == 3
    assert found["rank1"]["mean"] == pytest.approx(np.mean(values))
    assert found["rank1"]["sd"] == pytest.approx(np.std(values, ddof=1))
    halves = np.array(values) / 2
    assert found["by_condition"]["blurred"]["rank1"]["mean"] == pytest.approx(halves.mean())
    assert found["by_condition"]["blurred"]["rank1"]["sd"] == pytest.approx(halves.std(ddof=1))
    assert (found["n"], found["counts"]) == (8, {"left_out": 3})
    assert "rank1_interval" not in found


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_the_deviation_is_that_of_a_sample(values: list[float]) -> None:
    found = spread([{"rank1": value} for value in values])["rank1"]
    assert found["sd"] == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    assert found["mean"] == pytest.approx(np.mean(values))


def test_a_figure_that_a_run_does_not_give_is_never_counted_as_a_number() -> None:
    found = spread([result(0.5), result(0.7, blurred=False), result(0.9, n=9)])["same-source"]
    blurred = found["by_condition"]["blurred"]["rank1"]
    assert (blurred["runs"], blurred["values"]) == (2, [0.25, None, 0.45])
    assert blurred["mean"] == pytest.approx(0.35)
    assert blurred["sd"] == pytest.approx(math.sqrt(0.02))
    assert found["n"] is None  # the runs do not agree


def test_a_confusion_matrix_is_left_to_the_runs() -> None:
    assert spread([{"n": 4, "confusion": {"cat": {"cat": 4}}}] * 2) == {"n": 4}


def test_a_single_run_has_no_deviation() -> None:
    assert spread([{"rank1": 0.5}])["rank1"] == {"mean": 0.5, "sd": None, "runs": 1, "values": [0.5]}
