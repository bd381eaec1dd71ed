from __future__ import annotations

from metricface.reporting.markdown import report_markdown
from metricface.results import Reading, Refusal, Result, Row, Value

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
