"""Results as they are stored: those of runs made before are read as what they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from metricface.contracts.results import OperatingPoint, Reading, Refusal, Result, Row, Spread, Value
from metricface.errors import DataError
from metricface.evaluation.report.markdown import report_markdown
from metricface.evaluation.stored_results import read_results

OLD = Path(__file__).parent / "old"  # written by MetricFace 0.1.0 before results were explicit


def old(name: str) -> Any:
    return json.loads((OLD / name).read_text())


def test_an_old_report_loses_nothing() -> None:
    document = old("report_results.json")
    found = read_results(document)
    assert {name: result.short() for name, result in found.items()} == document
    same, _ = found["identification"].joined()
    assert (same.figures["rank1"].n, same.figures["rank1"].interval) == (18, (1.0, 1.0))
    assert same.counts["gallery_people"] == 3
    headline, half, fitted = found["classification"].joined()
    assert (headline.name, half.name, fitted.name) == ("", "threshold-0.5", "fitted-threshold")
    assert half.confusion["female"] == {"male": 17, "female": 3}
    assert found["classification"].operating_points[0].values == {"temperature": 3.313258329362137}
    assert found["identification"].refusals[0].figure == "same-source.rank5"


def test_old_results_and_the_same_ones_of_today_make_one_report() -> None:
    found = read_results(old("report_results.json"))
    again = read_results({name: result.to_json() for name, result in found.items()})
    assert again == found
    text = report_markdown(found, {})
    assert report_markdown(again, {}) == text
    assert "| all | 18 | 100.0 (100.0 to 100.0) | 100.0 | 100.0 | 100.0 |" in text
    assert "| female | 20 | 50.0 (35.1 to 68.8) |" not in text  # recall is not the first column
    assert "threshold 0.4029 (max balanced accuracy), temperature 3.313, fitted on all 40 photos" in text


def test_the_events_of_an_old_journal_are_read() -> None:
    events = [json.loads(line) for line in (OLD / "metrics.jsonl").read_text().splitlines()]
    assert len(events) == 2
    for event in events:
        result = read_results(event["results"])["classification"]
        assert result.metric("balanced_accuracy") == event["results"]["classification"]["balanced_accuracy"]
        assert result.metric("threshold-0.5.f1") == event["results"]["classification"]["threshold-0.5"]["f1"]


def test_the_figures_over_seeds_of_an_old_seeds_json_are_read() -> None:
    document = old("seeds_results.json")["identification"]
    same = read_results({"identification": document})["identification"].joined()[0]
    for name, value in same.figures.items():
        stored = document["same-source"][name]
        assert value == Value(stored["mean"], 18, spread=Spread(stored["sd"], tuple(stored["values"])))
    assert list(same.tables["condition"]) == list(document["same-source"]["by_condition"])
    assert same.counts == document["same-source"]["counts"]


def flattened(**result: Any) -> Result:
    return read_results({"mine": result})["mine"]


def test_old_similarities_are_cosines_and_whole_numbers_plain() -> None:
    found = flattened(similarity={"by_similarity": {"genuine": {"mean": 0.31, "n": 4}}}, near={"people": 3, "n": 4})
    similarity, near = found.joined()
    assert similarity.tables == {"similarity": {"genuine": {"mean": Value(0.31, 4, unit="cosine")}}}
    assert near.figures == {"people": Value(3, 4, unit="none")}


@pytest.mark.parametrize("name", ["counts", "refusals", "operating_points", "confusion", "by_hand", "schema"])
def test_an_old_reading_named_like_a_part_is_found_where_its_content_shows_it(name: str) -> None:
    assert flattened(**{name: {"rank1": 0.5, "n": 8}}) == Result((Reading(name, {"rank1": Value(0.5, 8)}),))


def test_headline_rows_of_two_kinds_and_lists() -> None:
    found = flattened(
        accuracy=0.5,
        n=8,
        by_class={"cat": {"recall": 0.25, "n": 4, "recall_interval": [0.0, 0.5]}},
        by_group={"north": {}},
        counts={"photos_without_group": 2},
        operating_points=[{"threshold": 0.4, "rule": "r", "fitted_on": "val"}],
        refusals=[{"figure": "f1", "reason": "why"}],
    )
    assert found == Result(
        (
            Reading(
                "",
                {"accuracy": Value(0.5, 8)},
                (Row("cat", {"recall": Value(0.25, 4, (0.0, 0.5))}),),
                {"photos_without_group": 2},
                "class",
            ),
            Reading("", {}, (Row("north", {}),), by="group"),
        ),
        (OperatingPoint(0.4, "r", "val"),),
        (Refusal("f1", "why"),),
    )
    assert flattened() == Result()
    assert flattened(near={}) == Result((Reading("near", {}),))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "results: should be an object (got []). Run or evaluate again."),
        ({"mine": 1}, "results.mine: should be an object (got 1). Run or evaluate again."),
        ({"mine": {"near": {"rank1": "high", "n": 2}}}, "results.mine.near.rank1: should be a finite number"),
        ({"mine": {"near": {"rank1": 0.5, "rank1_interval": [1], "n": 2}}}, "results.mine.near.rank1_interval: should"),
        ({"mine": {"schema": 9, "readings": []}}, "results.mine.schema: this MetricFace reads results of schema 1"),
    ],
)  # fmt: skip
def test_what_is_neither_form_is_refused_by_name(document: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_results(document)
    assert str(caught.value).startswith(message)
