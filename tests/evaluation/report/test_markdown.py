from __future__ import annotations

from metricface.contracts.results import OperatingPoint, Reading, Refusal, Result, Row, Value
from metricface.evaluation.report.markdown import report_markdown, run_markdown

FIGURES = {"rank1": Value(0.5, 8, (0.25, 0.8125)), "f1": Value(1 / 3, 8)}
RESULT = Result(
    "identification",
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
        "results": {"identification": RESULT.to_json()},
        "data": {"root": "d", "split": "val", "people": 4, "photos": 12},
        "selection": "the last epoch: nothing was selected",
        "model": {"sha256": "ab", "epoch": 3, "ema": False, "selection": "the last epoch: nothing was selected"},
        "notices": ["one photo\nis <odd>"],
        "versions": {"torch": "2"},
    }
    assert (
        report_markdown(report)
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
    text = report_markdown({"results": {"identification": RESULT.to_json()}, "notices": ["2 photos | left out"]})
    assert text.endswith("## How this was made\n\n- 2 photos \\| left out\n")


def test_an_evaluator_with_a_single_reading_and_groups() -> None:
    groups = (Row("north", {"accuracy": Value(0.75, 4)}),)
    result = Result("classification", (Reading("", {"accuracy": Value(0.5, 8)}, groups, by="group"),))
    text = report_markdown({"results": {"classification": result.to_json()}})
    assert text == (
        "# classification\n\n| group | n | accuracy % |\n| --- | ---: | ---: |\n"
        "| all | 8 | 50.0 |\n| north | 4 | 75.0 |\n"
    )


def test_headline_figures_rows_of_two_kinds_a_confusion_matrix_and_an_operating_point() -> None:
    confusion = {"cat": {"cat": 3, "dog": 1}, "dog": {"cat": 0, "dog": 4}}
    figures = {"balanced_accuracy": Value(0.875, 8)}
    rows = (Row("cat", {"recall": Value(0.75, 4)}), Row("dog", {"recall": Value(1.0, 4)}))
    result = Result(
        "classification",
        (
            Reading("", {"auroc": Value(0.5, 8)}),
            Reading("threshold-0.5", figures, rows, by="class", confusion=confusion),
            Reading("threshold-0.5", {}, (Row("north", {}),), {"photos_without_group": 2}, by="group"),
        ),
        (OperatingPoint(0.25, "max F1 of 'dog'", "the calibration split, 9 photos", {"temperature": 1.5}),),
    )
    data = {"root": "d", "split": "val", "classes": 2, "photos": 8}
    assert (
        report_markdown({"results": {"classification": result.to_json()}, "data": data})
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

In the model file: threshold 0.25 (max F1 of 'dog'), temperature 1.5, fitted on the calibration split, 9 photos.

## How this was made

- data: root d, split val, classes 2, photos 8
"""
    )
    assert OperatingPoint.from_json(result.to_json()["operating_points"][0]) == result.operating_points[0]


def test_similarities_are_no_percentages() -> None:
    rows = (Row("genuine", {"mean": Value(0.7126, 8), "q05": Value(-0.25, 8)}),)
    result = Result("identification", (Reading("similarity", {}, rows, by="similarity"),))
    assert report_markdown({"results": {"identification": result.to_json()}}) == (
        "# identification\n\n## similarity\n\n| similarity | n | mean | q05 |\n| --- | ---: | ---: | ---: |\n"
        "| genuine | 8 | 0.713 | -0.250 |\n"
    )


def test_a_report_over_several_runs() -> None:
    def spread(*values: float | None, sd: float | None = 0.0123) -> dict:
        given = [value for value in values if value is not None]
        return {"mean": sum(given) / len(given), "sd": sd, "runs": len(given), "values": list(values)}

    rows = {"clean": {"rank1": spread(1.0, None, sd=None), "n": None}}
    reading = {"rank1": spread(0.5, 0.75), "n": 8, "by_condition": rows, "counts": {"left_out": None}}
    text = report_markdown({"seeds": [0, 1], "results": {"identification": {"same-source": reading}}})
    assert text == (
        "Mean ± standard deviation (n - 1) over 2 runs.\n\n# identification\n\n## same-source\n\n"
        "| condition | n | rank-1 % |\n| --- | ---: | ---: |\n"
        "| all | 8 | 62.5 ± 1.2 |\n| clean | differs | 100.0 (1 of 2 runs) |\n\n"
        "Counts: left out differs.\n\n## How this was made\n\n- seeds: 0, 1\n"
    )
    unnamed = {"accuracy": spread(0.5, 0.75), "n": 8}
    assert "| all | 8 | 62.5 ± 1.2 |" in report_markdown({"seeds": [0, 1], "results": {"classification": unnamed}})
    single = {"same-source": {"rank1": spread(0.5, sd=None), "n": 8}}
    text = report_markdown({"seeds": [7], "results": {"identification": single}})
    assert text.startswith("A single run.\n")
    assert "| all | 8 | 50.0 |" in text


def test_a_damaged_run_without_anything() -> None:
    run = {"folder": "r|1", "status": "damaged", "problems": ["run.json is missing"], "record": {}}
    assert run_markdown(run, "", "") == "# r\\|1: damaged\n\n- problem: run.json is missing\n"
