"""Mean and standard deviation over runs, against numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricface.contracts.results import JoinedReading, OperatingPoint, Reading, Refusal, Result, Row, Spread, Value
from metricface.evaluation.over_runs import over_runs


def result(value: float, *, n: int = 8, blurred: bool = True) -> Result:
    figures = {"rank1": Value(value, n, (0.1, 0.9))}
    rows = (Row("clean", figures), *((Row("blurred", {"rank1": Value(value / 2, n)}),) if blurred else ()))
    refusals = () if blurred else (Refusal("blurred.rank1", "no blurred photo"),)
    confusion = {"cat": {"cat": 4}}
    groups = Reading("same-source", {}, (Row("north", figures),), by="group", confusion=confusion)
    points = (OperatingPoint(value, "rule", "val"),)
    return Result((Reading("same-source", figures, rows, {"left_out": 3}), groups), points, refusals)


def summed(results: list[Result]) -> Result:
    found = over_runs([{"identification": result} for result in results])
    assert list(found) == ["identification"]
    return found["identification"]


def same_source(results: list[Result]) -> JoinedReading:
    (reading,) = summed(results).joined()
    assert reading.name == "same-source"
    return reading


def test_every_figure_and_row_against_numpy() -> None:
    values = [0.5, 0.75, 0.8]
    found = same_source([result(value) for value in values])
    rank1 = found.figures["rank1"]
    assert rank1.spread.values == tuple(values)
    assert rank1.spread.runs == 3
    assert rank1.value == pytest.approx(np.mean(values))
    assert rank1.spread.sd == pytest.approx(np.std(values, ddof=1))
    halves = np.array(values) / 2
    blurred = found.tables["condition"]["blurred"]["rank1"]
    assert blurred.value == pytest.approx(halves.mean())
    assert blurred.spread.sd == pytest.approx(halves.std(ddof=1))
    assert found.tables["group"]["north"]["rank1"] == rank1
    assert (rank1.n, found.counts, rank1.interval) == (8, {"left_out": 3}, None)


def single(value: float, unit: str = "share") -> Result:
    return Result((Reading("", {"x": Value(value, 4, unit=unit)}),))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_the_deviation_is_that_of_a_sample(values: list[float]) -> None:
    found = summed([single(value) for value in values]).figure("x")
    assert found.spread.sd == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    assert found.value == pytest.approx(np.mean(values))


def test_a_figure_that_a_run_does_not_give_is_never_counted_as_a_number() -> None:
    found = same_source([result(0.5), result(0.7, blurred=False), result(0.9, n=9)])
    blurred = found.tables["condition"]["blurred"]["rank1"]
    assert (blurred.spread.runs, blurred.spread.values) == (2, (0.25, None, 0.45))
    assert blurred.value == pytest.approx(0.35)
    assert blurred.spread.sd == pytest.approx(math.sqrt(0.02))
    assert found.figures["rank1"].n is None  # the runs do not agree


def test_what_is_of_one_run_is_left_to_it() -> None:
    found = summed([result(0.5), result(0.5, blurred=False)])
    assert (found.operating_points, found.refusals) == ((), ())
    assert found.joined()[0].confusion == {}


def test_a_single_run_has_no_deviation() -> None:
    assert summed([single(0.5)]).figure("x") == Value(0.5, 4, spread=Spread(None, (0.5,)))


def test_whole_numbers_and_cosines_are_summed_in_their_units() -> None:
    found = summed([single(3, "count"), single(4, "count")]).figure("x")
    assert (found.value, found.unit, found.spread.values) == (3.5, "count", (3, 4))
    assert summed([single(0.3, "cosine"), single(0.5, "cosine")]).figure("x").unit == "cosine"
    assert summed([single(0.3, "cosine"), single(0.5)]).figure("x").unit == "none"


def test_an_evaluator_that_a_run_lacks_counts_as_giving_nothing() -> None:
    found = over_runs([{"a": single(0.5)}, {"a": single(0.7), "b": single(0.9)}])
    assert found["a"].figure("x").spread.runs == 2
    assert found["b"].figure("x").spread.values == (None, 0.9)


@given(st.lists(st.sampled_from([0.25, 0.5, 1.0]), min_size=1, max_size=4), st.booleans())
def test_the_sum_survives_json(values: list[float], blurred: bool) -> None:
    found = summed([result(value, blurred=blurred) for value in values])
    assert Result.from_json(found.to_json()) == found
