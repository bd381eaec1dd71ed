"""Comparing outcomes against a loop that resamples people one at a time."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from metricface.errors import DataError
from metricface.evaluation.comparison import Difference, compare_outcomes, is_comparable
from metricface.functional.metrics.class_intervals import decision_intervals

SAMPLES, SEED = 40, 3
Table = dict[str, list[str]]


def ranks(seed: int, hit: float = 0.5, people: int = 9) -> Table:
    """Outcomes of `identification`: probes of one to four photos of each person, two readings."""
    rng = np.random.default_rng(seed)
    rows = [
        (reading, f"p{person}/{photo}_{condition}.png", f"p{person}", condition, "1" if rng.random() < hit else "4")
        for reading in ("same-source", "cross-source")
        for person in range(people)
        for photo in range(1 + person % 4)
        for condition in ("clean", "foggy", "rainy")
    ]
    return dict(
        zip(("reading", "path", "person", "condition", "rank"), map(list, zip(*rows, strict=True)), strict=True)
    )


def classes(seed: int, right: float = 0.6) -> Table:
    """Outcomes of `classification` as the file holds them, without its column of readings."""
    rng, people = np.random.default_rng(seed), 14
    rows = []
    for person in range(people):
        for photo in range(1 + person % 3):
            label = "female" if person < 2 else "male"
            wrong = "male" if label == "female" else "female"
            predicted = label if rng.random() < right else wrong
            rows.append((f"{label}/{person}_{photo}.jpg", f"p{person}", label, predicted, str(rng.random())))
    return dict(zip(("path", "person", "label", "predicted", "score"), map(list, zip(*rows, strict=True)), strict=True))


def shuffled(table: Table, seed: int = 0) -> Table:
    order = np.random.default_rng(seed).permutation(len(table["path"]))
    return {column: [values[place] for place in order] for column, values in table.items()}


def resamples(persons: list[str]) -> list[list[int]]:
    """The rows of every bootstrap sample."""
    people = sorted(set(persons))
    drawn = np.random.default_rng(SEED).integers(len(people), size=(SAMPLES, len(people)))
    return [
        [row for number in numbers for row, person in enumerate(persons) if person == people[number]]
        for numbers in drawn
    ]


def expected(differences: list[float]) -> tuple[tuple[float, float], float]:
    rarer = min(sum(d <= 1e-12 for d in differences), sum(d >= -1e-12 for d in differences))
    low, high = np.quantile(differences, [0.025, 0.975])
    return (low, high), min(1, 2 * (rarer + 1) / (len(differences) + 1))


def check(found: Difference, a: float, b: float, differences: list[float]) -> None:
    interval, p = expected(differences)
    assert (found.a, found.b, found.difference) == pytest.approx((a, b, b - a))
    assert found.interval == pytest.approx(interval)
    assert found.p == pytest.approx(p)


def test_rank1_of_every_reading_and_condition_against_a_naive_loop() -> None:
    a, b = ranks(1, 0.4), ranks(2, 0.7)
    found = compare_outcomes("identification", {"a": a}, {"b": shuffled(b)}, samples=SAMPLES, seed=SEED)
    assert [(one.reading, one.row) for one in found] == [
        (reading, row) for reading in ("cross-source", "same-source") for row in ("all", "clean", "foggy", "rainy")
    ]
    for one in found:
        inside = [
            row
            for row, condition in enumerate(a["condition"])
            if a["reading"][row] == one.reading
            and (condition == one.row or (one.row == "all" and condition != "clean"))
        ]
        hits = [[float(table["rank"][row] == "1") for row in inside] for table in (a, b)]
        differences = [
            np.mean([hits[1][row] for row in sample]) - np.mean([hits[0][row] for row in sample])
            for sample in resamples([a["person"][row] for row in inside])
        ]
        assert (one.evaluator, one.figure, one.n, one.people) == ("identification", "rank1", len(inside), 9)
        check(one, np.mean(hits[0]), np.mean(hits[1]), differences)


def test_hits_of_several_seeds_are_averaged_per_probe_first() -> None:
    a = {f"a{seed}": ranks(seed, 0.4) for seed in range(3)}
    b = {f"b{seed}": ranks(10 + seed, 0.6) for seed in range(2)}
    (found,) = [
        one
        for one in compare_outcomes("identification", a, b, samples=SAMPLES, seed=SEED)
        if (one.reading, one.row) == ("same-source", "foggy")
    ]
    first = a["a0"]
    inside = [
        row
        for row, condition in enumerate(first["condition"])
        if (first["reading"][row], condition) == ("same-source", "foggy")
    ]
    means = [
        [np.mean([float(table["rank"][row] == "1") for table in side.values()]) for row in inside] for side in (a, b)
    ]
    differences = [
        np.mean([means[1][row] - means[0][row] for row in sample])
        for sample in resamples([first["person"][row] for row in inside])
    ]
    check(found, np.mean(means[0]), np.mean(means[1]), differences)


def f1(labels: list[str], predicted: list[str], name: str) -> float:
    return f1_score(labels, predicted, labels=[name], average=None, zero_division=0)[0]


FIGURES = {
    "accuracy": accuracy_score,
    "balanced_accuracy": lambda labels, predicted: (
        recall_score(labels, predicted, average="macro", zero_division=0) if len(set(labels)) == 2 else np.nan
    ),
    "f1 female": lambda labels, predicted: f1(labels, predicted, "female") if "female" in labels else np.nan,
    "f1 male": lambda labels, predicted: f1(labels, predicted, "male"),
}


def test_class_figures_are_recomputed_by_scikit_learn_on_every_sample() -> None:
    sides = {"a": {"a0": classes(1, 0.5), "a1": classes(4, 0.6)}, "b": {"b": shuffled(classes(2, 0.9))}}
    found = compare_outcomes("classification", sides["a"], sides["b"], samples=SAMPLES, seed=SEED)
    assert [(one.reading, one.row, one.figure, one.n, one.people) for one in found] == [
        ("", "all", figure, 27, 14) for figure in FIGURES
    ]
    a, labels, persons = [classes(1, 0.5), classes(4, 0.6)], classes(1)["label"], classes(1)["person"]
    b = classes(2, 0.9)
    left_out = 0
    for one in found:
        figure = FIGURES[one.figure]

        def difference(rows: list[int], figure=figure) -> tuple[float, float]:
            truth = [labels[row] for row in rows]
            ours = np.mean([figure(truth, [table["predicted"][row] for row in rows]) for table in a])
            return ours, figure(truth, [b["predicted"][row] for row in rows])

        pairs = [difference(rows) for rows in resamples(persons)]
        known = [theirs - ours for ours, theirs in pairs if not np.isnan(ours)]
        left_out += SAMPLES - len(known)
        check(one, *difference(list(range(27))), known)
    assert left_out > 0  # a sample without a woman


def test_photos_of_nobody_in_particular_are_units_of_their_own() -> None:
    a, b = classes(1), classes(2)
    for table in (a, b):
        table["person"] = [""] * len(table["path"])
    nobody = compare_outcomes("classification", {"a": a}, {"b": b}, samples=50, seed=0)
    for table in (a, b):
        table["person"] = [f"{path}" for path in table["path"]]
    assert nobody == compare_outcomes("classification", {"a": a}, {"b": b}, samples=50, seed=0)
    assert nobody[0].people == nobody[0].n == 27


def test_an_interval_is_that_of_a_report_where_the_other_model_is_always_wrong() -> None:
    a = classes(1, 0.8)
    b = {**a, "predicted": ["male" if label == "female" else "female" for label in a["label"]]}
    found = {
        one.figure: one for one in compare_outcomes("classification", {"a": a}, {"b": b}, samples=SAMPLES, seed=SEED)
    }
    labels, predicted = (np.array(a[column]) == "male" for column in ("label", "predicted"))
    units = np.unique(a["person"], return_inverse=True)[1]
    intervals = decision_intervals(labels.astype(int), predicted.astype(int), 2, units, samples=SAMPLES, seed=SEED)
    in_report = {
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced_accuracy",
        "f1 female": "f1.0",
        "f1 male": "f1.1",
    }
    for figure, name in in_report.items():
        low, high = intervals[name]
        assert (found[figure].b, found[figure].interval) == (0, pytest.approx((-high, -low)))


def test_a_figure_that_most_samples_lack_has_no_interval() -> None:
    a = {"path": ["0", "1", "2"], "person": ["a", "b", "c"], "label": ["x", "y", "z"], "predicted": ["x", "y", "x"]}
    b = {**a, "predicted": ["x", "x", "x"]}
    found = {one.figure: one for one in compare_outcomes("classification", {"a": a}, {"b": b}, samples=999, seed=0)}
    assert found["balanced_accuracy"].difference == pytest.approx(-1 / 3)
    assert (found["balanced_accuracy"].interval, found["balanced_accuracy"].p) == (None, None)  # 2 of 9 have it
    assert found["f1 y"].interval == (-1.0, -1.0)  # 19 of 27 have it


def test_groups_have_rows_and_a_class_that_is_missing_there_has_neither_f1_nor_balanced_accuracy() -> None:
    a, b = classes(1), classes(2)
    for table in (a, b):
        table["group"] = ["north" if label == "male" else "" for label in table["label"]]
    found = compare_outcomes("classification", {"a": a}, {"b": b}, samples=50, seed=0)
    assert {one.row for one in found} == {"all", "north"}
    assert [one.figure for one in found if one.row == "north"] == ["accuracy", "f1 male"]


def test_in_the_gallery_probe_reading_clean_probes_count_too() -> None:
    a = {**ranks(1), "reading": ["gallery-probe"] * len(ranks(1)["path"])}
    half = len(a["path"]) // 2
    a = {column: values[:half] for column, values in a.items()}
    found = {one.row: one.n for one in compare_outcomes("identification", {"a": a}, {"b": a}, samples=5, seed=0)}
    assert found["all"] == found["clean"] + found["foggy"] + found["rainy"] == half


def test_a_file_of_before_compares_with_one_that_names_the_nearest_person() -> None:
    old, new = ranks(1), ranks(2)
    cosines = {key: ["0.500000"] * len(new["path"]) for key in ("own_cosine", "nearest_cosine", "margin")}
    wider = {**new, "nearest": ["p9"] * len(new["path"]), **cosines}
    arguments = {"samples": 20, "seed": 0}
    plain = compare_outcomes("identification", {"a": old}, {"b": new}, **arguments)
    assert compare_outcomes("identification", {"a": old}, {"b": wider}, **arguments) == plain
    assert is_comparable(old)
    assert is_comparable(wider)


def test_a_model_against_itself_has_no_difference_and_one_person_no_interval() -> None:
    for one in compare_outcomes("identification", {"a": ranks(1)}, {"b": ranks(1)}, samples=50, seed=0):
        assert (one.difference, one.interval, one.p) == (0.0, (0.0, 0.0), 1.0)
    for one in compare_outcomes(
        "identification", {"a": ranks(1, people=1)}, {"b": ranks(2, people=1)}, samples=9, seed=0
    ):
        assert (one.people, one.interval, one.p) == (1, None, None)


def without(table: Table, *rows: int) -> Table:
    return {column: [value for row, value in enumerate(values) if row not in rows] for column, values in table.items()}


def test_other_probes_are_refused_with_how_many_are_missing_on_each_side() -> None:
    with pytest.raises(DataError) as error:
        compare_outcomes(
            "identification", {"x": without(ranks(1), 0)}, {"y": without(ranks(2), 1, 2)}, samples=5, seed=0
        )
    assert str(error.value) == (
        "identification: not the same probes in x and y: 2 (for instance same-source p0/0_foggy.png) only in the "
        "first, 1 (for instance same-source p0/0_clean.png) only in the second. Evaluate both on the same data: "
        "metricface eval MODEL --data DIR --outcomes FOLDER"
    )
    with pytest.raises(
        DataError, match=r"in a0 and a1: 1 \(for instance same-source p0/0_clean\.png\) only in .* 0 only"
    ):
        compare_outcomes(
            "identification", {"a0": ranks(1), "a1": without(ranks(1), 0)}, {"b": ranks(1)}, samples=5, seed=0
        )


def test_probes_of_another_label_and_copies_are_refused() -> None:
    other = classes(2)
    other["label"][3] = "child"
    with pytest.raises(DataError) as error:
        compare_outcomes("classification", {"x": classes(1)}, {"y": other}, samples=5, seed=0)
    assert str(error.value).startswith(
        "classification: male/2_0.jpg has the label 'male' in x and 'child' in y, so they are not of the same data."
    )
    twice = {column: [*values, values[0]] for column, values in ranks(1).items()}
    with pytest.raises(DataError, match=r"x: identification holds same-source p0/0_clean\.png twice, so probes cannot"):
        compare_outcomes("identification", {"x": twice}, {"y": twice}, samples=5, seed=0)


def test_only_known_columns_can_be_compared() -> None:
    assert is_comparable(ranks(0))
    assert is_comparable(classes(0))
    assert not is_comparable({"path": [], "person": [], "similarity": []})
    assert not is_comparable({"path": [], "rank": []})
