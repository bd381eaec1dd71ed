from __future__ import annotations

import json

import pytest

from metricface.contracts.results import OperatingPoint, Reading, Refusal, Result, Row, Spread, Value
from metricface.evaluation.report.markdown import report_markdown, run_markdown
from metricface.evaluation.stored_results import read_results

FIGURES = {"rank1": Value(0.5, 8, (0.25, 0.8125)), "f1": Value(1 / 3, 8)}
RESULT = Result(
    (
        Reading(
            "same-source", FIGURES, (Row("clean", {"rank1": Value(1.0, 4)}), Row("fo|ggy", FIGURES)), {"left_out": 3}
        ),
        Reading("cross-source", {}),
    ),
    refusals=(Refusal("cross-source.rank1", "nobody has a second photo"),),
)


def test_a_report_in_full() -> None:
    report = {
        "data": {"root": "d", "split": "val", "people": 4, "photos": 12},
        "selection": "the last epoch: nothing was selected",
        "model": {"sha256": "ab", "epoch": 3, "ema": False, "selection": "the last epoch: nothing was selected"},
        "notices": ["one photo\nis <odd>"],
        "versions": {"torch": "2"},
    }
    assert (
        report_markdown({"identification": RESULT}, report)
        == """\
# identification: 4 people, 12 photos of val

## same-source

| condition | n | rank-1 % | F1 % |
| --- | ---: | ---: | ---: |
| all | 8 | 50.0 (25.0 to 81.2) | 33.3 |
| clean | 4 | 100.0 | - |
| fo\\|ggy | 8 | 50.0 (25.0 to 81.2) | 33.3 |

Counts: left out 3.

## cross-source

- not given: cross-source.rank1, because nobody has a second photo

## How this was made

- data: root d, split val, people 4, photos 12
- epoch reported: the last epoch: nothing was selected
- model: sha256 ab, epoch 3, ema False
- versions: torch 2
- one photo is &lt;odd>
"""
    )


def test_notices_are_kept_without_anything_else_on_how_it_was_made() -> None:
    text = report_markdown({"identification": RESULT}, {"notices": ["2 photos | left out"]})
    assert text.endswith("## How this was made\n\n- 2 photos \\| left out\n")


def test_an_evaluator_with_a_single_reading_and_groups() -> None:
    groups = (Row("north", {"accuracy": Value(0.75, 4)}),)
    result = Result((Reading("", {"accuracy": Value(0.5, 8)}, groups, by="group"),))
    text = report_markdown({"classification": result}, {})
    assert text == (
        "# classification\n\n| group | n | accuracy % |\n| --- | ---: | ---: |\n"
        "| all | 8 | 50.0 |\n| north | 4 | 75.0 |\n"
    )


def test_headline_figures_rows_of_two_kinds_a_confusion_matrix_and_an_operating_point() -> None:
    confusion = {"cat": {"cat": 3, "dog": 1}, "dog": {"cat": 0, "dog": 4}}
    figures = {"balanced_accuracy": Value(0.875, 8)}
    rows = (Row("cat", {"recall": Value(0.75, 4)}), Row("dog", {"recall": Value(1.0, 4)}))
    result = Result(
        (
            Reading("", {"auroc": Value(0.5, 8)}),
            Reading("threshold-0.5", figures, rows, by="class", confusion=confusion),
            Reading("threshold-0.5", {}, (Row("north", {}),), {"photos_without_group": 2}, by="group"),
        ),
        (OperatingPoint(0.25, "max F1 of 'dog'", "the calibration split, 9 photos", {"temperature": 1.5}),),
    )
    data = {"root": "d", "split": "val", "classes": 2, "photos": 8}
    assert (
        report_markdown({"classification": result}, {"data": data})
        == """\
# classification: 2 classes, 8 photos of val

| over | n | AUROC % |
| --- | ---: | ---: |
| all | 8 | 50.0 |

## threshold-0.5

| class | n | balanced accuracy % | recall % |
| --- | ---: | ---: | ---: |
| all | 8 | 87.5 | - |
| cat | 4 | - | 75.0 |
| dog | 4 | - | 100.0 |

| group | n |
| --- | ---: |
| north | 0 |

| photos of | taken for cat | taken for dog |
| --- | ---: | ---: |
| cat | 3 | 1 |
| dog | 0 | 4 |

Counts: photos without group 2.

In the model folder: threshold 0.25 (max F1 of 'dog'), temperature 1.5, fitted on the calibration split, 9 photos.

## How this was made

- data: root d, split val, classes 2, photos 8
"""
    )
    assert OperatingPoint.from_json(result.to_json()["operating_points"][0]) == result.operating_points[0]


def test_similarities_are_no_percentages() -> None:
    rows = (Row("genuine", {"mean": Value(0.7126, 8, unit="cosine"), "q05": Value(-0.25, 8, unit="cosine")}),)
    result = Result((Reading("similarity", {}, rows, by="similarity"),))
    assert report_markdown({"identification": result}, {}) == (
        "# identification\n\n## similarity\n\n| similarity | n | mean | q05 |\n| --- | ---: | ---: | ---: |\n"
        "| genuine | 8 | 0.713 | -0.250 |\n"
    )


def test_a_report_over_several_runs() -> None:
    def spread(*values: float | None, n: int | None = 8, sd: float | None = 0.0123) -> Value:
        given = [value for value in values if value is not None]
        return Value(sum(given) / len(given), n, spread=Spread(sd, values))

    rows = (Row("clean", {"rank1": spread(1.0, None, n=None, sd=None)}),)
    reading = Reading("same-source", {"rank1": spread(0.5, 0.75)}, rows, {"left_out": None})
    text = report_markdown({"identification": Result((reading,))}, {"seeds": [0, 1]})
    assert text == (
        "Mean ± standard deviation (n - 1) over 2 runs.\n\n# identification\n\n## same-source\n\n"
        "| condition | n | rank-1 % |\n| --- | ---: | ---: |\n"
        "| all | 8 | 62.5 ± 1.2 |\n| clean | differs | 100.0 (1 of 2 runs) |\n\n"
        "Counts: left out differs.\n\n## How this was made\n\n- seeds: 0, 1\n"
    )
    unnamed = Result((Reading("", {"accuracy": spread(0.5, 0.75)}),))
    assert "| all | 8 | 62.5 ± 1.2 |" in report_markdown({"classification": unnamed}, {"seeds": [0, 1]})
    single = Result((Reading("same-source", {"rank1": spread(0.5, sd=None)}),))
    text = report_markdown({"identification": single}, {"seeds": [7]})
    assert text.startswith("A single run.\n")
    assert "| all | 8 | 50.0 |" in text


def test_every_unit_is_written_as_it_is_meant() -> None:
    figures = {
        "share": Value(1, 8),
        "cosine": Value(0.31, 8, (0.3, 0.325), unit="cosine"),
        "people": Value(12, 8, unit="count"),
        "time": Value(0.25, 8, unit="seconds"),
        "norm": Value(23.456, 8, unit="none"),
        "large": Value(12345.6, 8, unit="none"),
    }
    text = report_markdown({"mine": Result((Reading("", figures),))}, {})
    assert text == (
        "# mine\n\n| over | n | share % | cosine | people | time s | norm | large |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| all | 8 | 100.0 | 0.310 (0.300 to 0.325) | 12 | 0.25 | 23.46 | 12346 |\n"
    )


def test_a_column_of_several_units_has_them_in_its_cells() -> None:
    rows = (Row("a", {"x": Value(0.5, 2)}), Row("b", {"x": Value(0.5, 2, unit="cosine")}))
    text = report_markdown({"mine": Result((Reading("", {}, rows),))}, {})
    assert text.splitlines()[2:] == [
        "| condition | n | x |", "| --- | ---: | ---: |", "| a | 2 | 50.0 % |", "| b | 2 | 0.500 |"
    ]  # fmt: skip


NAMES_OF_PARTS = ("counts", "refusals", "operating_points", "readings", "confusion", "by_condition", "n", "mean", "all")


@pytest.mark.parametrize("name", NAMES_OF_PARTS)
def test_a_reading_or_figure_named_like_a_part_of_a_document_does_not_vanish(name: str) -> None:
    figures = {name: Value(0.25, 8)}
    given = Result((Reading(name, figures, (Row(name, figures),), {name: 3}, name),))
    result = read_results(json.loads(json.dumps({name: given.to_json()})))[name]
    heading = name.replace("_", " ")
    assert report_markdown({name: result}, {}) == (
        f"# {name}\n\n## {name}\n\n| {name} | n | {heading} % |\n| --- | ---: | ---: |\n"
        f"| all | 8 | 25.0 |\n| {name} | 8 | 25.0 |\n\nCounts: {name.replace('_', ' ')} 3.\n"
    )


def test_a_threshold_on_cosines_is_no_percentage() -> None:
    point = OperatingPoint(0.31, "FAR <= 0.001", "val", {"tar": 0.962})
    result = Result((Reading("", {"threshold": Value(0.31, 8, unit="cosine")}),), (point,))
    text = report_markdown({"verification": result}, {})
    assert "| over | n | threshold |" in text
    assert "| all | 8 | 0.310 |" in text
    assert "In the model folder: threshold 0.31 (FAR &lt;= 0.001), tar 0.962, fitted on val." in text
    assert "31.0" not in text


def test_a_confusion_matrix_that_is_not_square_is_shown_whole() -> None:
    confusion = {"cat": {"cat": 3, "nobody": 1}, "dog": {"dog": 4}}
    text = report_markdown({"mine": Result((Reading("", {}, confusion=confusion),))}, {})
    assert "| photos of | taken for cat | taken for dog | taken for nobody |" in text
    assert "| cat | 3 | - | 1 |\n| dog | - | 4 | - |" in text


def test_a_damaged_run_without_anything() -> None:
    run = {"folder": "r|1", "status": "damaged", "problems": ["run.json is missing"], "record": {}}
    assert run_markdown(run, "", "") == "# r\\|1: damaged\n\n- problem: run.json is missing\n"
