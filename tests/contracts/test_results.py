"""Results and their JSON: what is written is read again, and what is wrong is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricface.contracts.figures import UNITS
from metricface.contracts.results import OperatingPoint, Reading, Refusal, Result, Row, Spread, Value
from metricface.errors import DataError, EvaluationError, MetricFaceError

PARTS = ["", "n", "mean", "counts", "refusals", "readings", "operating_points", "confusion", "by_class", "results"]
NAMES = st.one_of(st.sampled_from(PARTS), st.text(max_size=8))
NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
COUNTS = st.one_of(st.none(), st.integers(0, 10**9))


@st.composite
def values(draw: st.DrawFn) -> Value:
    interval = draw(st.one_of(st.none(), st.tuples(NUMBERS, NUMBERS)))
    runs = st.lists(st.one_of(st.none(), NUMBERS), max_size=4).map(tuple)
    spread = st.builds(Spread, st.one_of(st.none(), NUMBERS), runs)
    return Value(draw(NUMBERS), draw(COUNTS), interval, draw(st.sampled_from(UNITS)), draw(st.none() | spread))


FIGURES = st.dictionaries(NAMES, values(), max_size=3)
ROWS = st.dictionaries(NAMES, FIGURES, max_size=3).map(lambda rows: tuple(Row(*row) for row in rows.items()))
CONFUSION = st.dictionaries(NAMES, st.dictionaries(NAMES, st.integers(0, 99), max_size=2), max_size=2)
READINGS = st.builds(Reading, NAMES, FIGURES, ROWS, st.dictionaries(NAMES, COUNTS, max_size=3), NAMES, CONFUSION)
OF_A_POINT = NAMES.filter(lambda name: name not in ("threshold", "rule", "fitted_on"))
POINTS = st.builds(OperatingPoint, NUMBERS, NAMES, NAMES, st.dictionaries(OF_A_POINT, NUMBERS, max_size=3))
RESULTS = st.builds(
    Result,
    st.lists(READINGS, max_size=4, unique_by=lambda reading: reading.name).map(tuple),
    st.lists(POINTS, max_size=2).map(tuple),
    st.lists(st.builds(Refusal, NAMES, NAMES), max_size=2).map(tuple),
)


@given(RESULTS)
def test_a_result_survives_json_with_the_types_of_its_numbers(result: Result) -> None:
    text = json.dumps(result.to_json(), allow_nan=False)
    found = Result.from_json(json.loads(text))
    assert found == result
    assert json.dumps(found.to_json()) == text  # 1 is not 1.0 here


@given(RESULTS)
def test_every_result_has_a_short_form(result: Result) -> None:
    json.dumps(result.short(), allow_nan=False)


def test_outcomes_are_not_in_json_and_make_no_difference() -> None:
    result = Result((Reading("", {"rank1": Value(0.5, 2)}),), outcomes={"path": ["a", "b"]})
    assert "outcomes" not in result.to_json()
    assert Result.from_json(result.to_json()) == result
    assert Result.from_json(result.to_json()).outcomes == {}


def test_the_explicit_form() -> None:
    clean = Row("clean", {"rank1": Value(1, 4)})
    result = Result(
        (Reading("same-source", {"rank1": Value(0.5, 8, (0.25, 0.75))}, (clean,), {"left_out": 3}),),
        (OperatingPoint(0.31, "FAR <= 0.1", "val", {"tar": 0.9}),),
        (Refusal("rank5", "3 people"),),
    )
    assert result.to_json() == {
        "schema": 1,
        "readings": [
            {
                "name": "same-source",
                "by": "condition",
                "figures": {"rank1": {"value": 0.5, "n": 8, "unit": "share", "interval": [0.25, 0.75]}},
                "rows": [{"name": "clean", "figures": {"rank1": {"value": 1, "n": 4, "unit": "share"}}}],
                "counts": {"left_out": 3},
                "confusion": {},
            }
        ],
        "operating_points": [{"threshold": 0.31, "rule": "FAR <= 0.1", "fitted_on": "val", "tar": 0.9}],
        "refusals": [{"figure": "rank5", "reason": "3 people"}],
    }
    assert result.short() == {
        "same-source": {
            "rank1": 0.5,
            "n": 8,
            "rank1_interval": [0.25, 0.75],
            "by_condition": {"clean": {"rank1": 1, "n": 4}},
            "counts": {"left_out": 3},
        },
        "operating_points": result.to_json()["operating_points"],
        "refusals": result.to_json()["refusals"],
    }


GOOD = Result(
    (
        Reading(
            "near", {"rank1": Value(0.5, 8, (0.25, 0.75))}, (Row("clean", {}),), {"lost": 1}, "class", {"a": {"a": 1}}
        ),
    ),
    (OperatingPoint(0.5, "rule", "val"),),
    (Refusal("x", "y"),),
).to_json()


def changed(*path: str | int, to: Any) -> Callable[[], Any]:
    def change() -> Any:
        document = json.loads(json.dumps(GOOD))
        target = document
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = to
        return document

    return change


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "no object": (list, "results.mine: should be an object (got []). Run or evaluate again."),
    "a later schema": (
        changed("schema", to=2),
        "results.mine.schema: this MetricFace reads results of schema 1 (got 2). Run or evaluate again.",
    ),
    "no readings": (lambda: {"schema": 1}, "results.mine: readings is missing (got {'schema': 1})."),
    "readings of one": (changed("readings", to={}), "results.mine.readings: should be a list (got {})."),
    "a key too many": (
        changed("readings", 0, "figures", "rank1", "intervall", to=[0, 1]),
        "results.mine.readings[0].figures.rank1: unknown key 'intervall' (got",
    ),
    "text for a number": (
        changed("readings", 0, "figures", "rank1", "value", to="0.5"),
        "results.mine.readings[0].figures.rank1.value: should be a finite number (got '0.5').",
    ),
    "truth for a number": (
        changed("readings", 0, "figures", "rank1", "value", to=True),
        "results.mine.readings[0].figures.rank1.value: should be a finite number (got True).",
    ),
    "NaN": (
        changed("readings", 0, "figures", "rank1", "value", to=float("nan")),
        "results.mine.readings[0].figures.rank1.value: should be a finite number (got nan).",
    ),
    "no unit": (
        changed("readings", 0, "figures", "rank1", to={"value": 1, "n": 1}),
        "results.mine.readings[0].figures.rank1: unit is missing (got",
    ),
    "an unknown unit": (
        changed("readings", 0, "figures", "rank1", "unit", to="percent"),
        "results.mine.readings[0].figures.rank1.unit: should be one of share, cosine, count, seconds, none (got 'perc",
    ),
    "half an interval": (
        changed("readings", 0, "figures", "rank1", "interval", to=[0.5]),
        "results.mine.readings[0].figures.rank1.interval: should be two numbers, low and high (got [0.5]).",
    ),
    "a negative n": (
        changed("readings", 0, "figures", "rank1", "n", to=-1),
        "results.mine.readings[0].figures.rank1.n: should be a whole number from 0, or null (got -1).",
    ),
    "more runs than values": (
        changed("readings", 0, "figures", "rank1", "spread", to={"sd": None, "runs": 3, "values": [0.5, None]}),
        "results.mine.readings[0].figures.rank1.spread.runs: should be 1, the number of values (got 3).",
    ),
    "a name that is none": (
        changed("readings", 0, "name", to=None),
        "readings[0].name: should be a string (got None).",
    ),
    "a row without figures": (
        changed("readings", 0, "rows", 0, to={"name": "clean"}),
        "results.mine.readings[0].rows[0]: figures is missing (got {'name': 'clean'}).",
    ),
    "a count of half": (
        changed("readings", 0, "counts", "lost", to=0.5),
        "results.mine.readings[0].counts.lost: should be a whole number from 0, or null (got 0.5).",
    ),
    "a confusion of nothing": (
        changed("readings", 0, "confusion", "a", "a", to=None),
        "results.mine.readings[0].confusion.a.a: should be a whole number from 0 (got None).",
    ),
    "a point without a threshold": (
        changed("operating_points", 0, to={"rule": "r", "fitted_on": "val"}),
        "results.mine.operating_points[0]: threshold is missing (got",
    ),
    "a value of a point": (
        changed("operating_points", 0, "tar", to="high"),
        "results.mine.operating_points[0].tar: should be a finite number (got 'high').",
    ),
    "a refusal without a reason": (
        changed("refusals", 0, to={"figure": "x"}),
        "results.mine.refusals[0]: reason is missing (got {'figure': 'x'}).",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_result_is_refused_and_named(name: str) -> None:
    make, message = WRONG[name]
    with pytest.raises(DataError) as caught:
        Result.from_json(make(), "results.mine")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_result_of_text_is_an_evaluator_that_names_itself() -> None:
    with pytest.raises(EvaluationError, match=r"^results: a Result begins with its readings \(got the text 'mine'\)\."):
        Result("mine", (Reading("", {}),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (Reading("a", {"x": Value(1, 1)}, by="group"), "results: reading 'a' has the figure 'x' twice."),
        (Reading("a", {}, (Row("r", {}),)), "results: reading 'a' has the row 'r' twice."),
        (Reading("a", {}, counts={"c": 2}, by="group"), "results: reading 'a' has the count 'c' twice."),
        (Reading("a", {}, confusion={"k": {}}), "results: reading 'a' has the class 'k' twice."),
    ],
)
def test_two_readings_of_one_name_hide_nothing(second: Reading, message: str) -> None:
    first = Reading("a", {"x": Value(1, 1)}, (Row("r", {}),), {"c": 1}, confusion={"k": {}})
    with pytest.raises(EvaluationError) as caught:
        Result((first, second))
    assert str(caught.value) == f"{message} Give each a name of its own."
    Result((first, Reading("a", {"y": Value(1, 1)}, (Row("r", {}),), by="group")))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Value(float("nan"), 3), "results: a figure over n = 3 is nan. Leave it out and say why."),
        (lambda: Value(0.5, 3, (0.0, float("inf"))), "results: a figure over n = 3 is inf. Leave it out and say why."),
        (lambda: Value(True, 3), "results: a figure over n = 3 is True. Leave it out and say why."),
        (
            lambda: Value(1, 3, unit="percent"),
            "results: unknown unit of a figure (got 'percent'). Units: share, cosine, count, seconds, none.",
        ),
        (
            lambda: OperatingPoint(float("inf"), "r", "val"),
            "operating point: its threshold is inf. Leave it out and say why.",
        ),
        (
            lambda: OperatingPoint(0.5, "r", "val", {"far": float("nan")}),
            "operating point: its far is nan. Leave it out and say why.",
        ),
        (
            lambda: OperatingPoint(0.5, "r", "val", {"rule": 1.0}),
            "operating point: a value cannot be called 'rule'. Give it another name.",
        ),
    ],
)
def test_what_no_report_could_hold_is_refused_at_once(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(MetricFaceError) as caught:
        make()
    assert str(caught.value) == message


def test_figures_are_found_by_name_and_missing_ones_with_the_reason() -> None:
    result = Result(
        (Reading("", {"f1": Value(0.5, 2)}), Reading("near", {"mean": Value(3, 2, unit="count")})),
        refusals=(Refusal("near.f1", "no photo"),),
    )
    assert (result.metric("f1"), result.metric("near.mean")) == (0.5, 3)
    assert result.figure("near.mean").unit == "count"
    with pytest.raises(EvaluationError) as caught:
        result.metric("near.f1")
    assert str(caught.value) == "results: no figure 'near.f1' (there are: f1, near.mean). near.f1: no photo"


def test_numbers_of_numpy_become_pythons_own() -> None:
    value = Value(np.float32(0.5), np.int64(79), (np.float64(0.25), 0.75))  # type: ignore[arg-type]
    result = Result((Reading("", {"x": value}, counts={"left out": np.int64(3)}),))  # type: ignore[dict-item]
    assert Result.from_json(json.loads(json.dumps(result.to_json()))) == result
    assert (value.value, value.n, value.interval) == (0.5, 79, (0.25, 0.75))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Value(0.5, -1), "n of a figure is a whole number from 0, or None (got -1)"),
        (lambda: Value(0.5, 2.5), "n of a figure is a whole number from 0, or None (got 2.5)"),  # type: ignore[arg-type]
        (lambda: Value(0.5, 3, (0.1, 0.2, 0.3)), "an interval is (low, high) (got (0.1, 0.2, 0.3))"),  # type: ignore[arg-type]
        (lambda: Reading("a", {}, counts={"x": 1.5}), "the count 'x' is a whole number from 0"),  # type: ignore[dict-item]
        (
            lambda: Result((Reading("", {"a.b": Value(0.1, 1)}), Reading("a", {"b": Value(0.9, 1)}))),
            "two figures are called 'a.b', one would vanish",
        ),
    ],
    ids=["negative", "half", "three bounds", "half a count", "one name"],
)
def test_what_could_not_be_read_back_is_refused_when_it_is_made(make: Callable[[], object], message: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        make()
    assert message in str(caught.value)
