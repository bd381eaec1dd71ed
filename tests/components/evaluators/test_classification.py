"""Classification against scikit-learn and naive formulas; thresholds are never fitted on what they judge."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from metricface.components.evaluators.classification import Classification
from metricface.contracts import Item, Predictions
from metricface.contracts.results import OperatingPoint, Result
from metricface.errors import DataError, EvaluationError, RecipeError
from metricface.evaluation.operating_points import OperatingPointFitter, read_scores
from metricface.functional.metrics.calibration import class_logits, fit_temperature, probabilities
from metricface.functional.metrics.decisions import deal_folds, fit_threshold

SEXES = ("male", "female")


class Scored:
    """A subject whose logits are known: 1 to 3 photos of each person, one logit or several."""

    def __init__(
        self, logits: np.ndarray, labels: np.ndarray, names: tuple[str, ...], people: bool = True, group: str = ""
    ) -> None:
        self.dataset: Any = self._dataset(labels, names, people, group)
        self.calibration: Any = None
        self.operating_points: list[OperatingPoint] = []
        self.known = {id(self.dataset): Predictions(logits.astype(np.float32), labels, names)}

    def _dataset(self, labels: np.ndarray, names: tuple[str, ...], people: bool, group: str) -> SimpleNamespace:
        items = [
            Item(
                Path(f"{names[label]}/{i:03}.png"),
                int(label),
                identity=f"p{label}-{i // 6}" if people else "",
                attributes={"group": f"{group}{i % 2}"} if group and i % 5 else {},
            )
            for i, label in enumerate(labels)
        ]
        return SimpleNamespace(items=items, label_names=names)

    def calibrate(self, logits: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> None:
        self.calibration = self._dataset(labels, names, False, "")
        self.known[id(self.calibration)] = Predictions(logits.astype(np.float32), labels, names)

    def predict(self, dataset: Any) -> Predictions:
        return self.known[id(dataset)]


def binary(seed: int = 0, count: int = 240, shift: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    """Overconfident log-odds (N, 1), biased towards label 0, and labels with four of 0 to one of 1."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 5 == 0).astype(np.int64)
    return (3 * (2 * labels - 1 + rng.normal(size=count)) - 3 * shift)[:, None].astype(np.float32), labels


def figures(result: Result, name: str) -> dict[str, float]:
    document = result.short()
    return document[name] if name else document


def check_decisions(values: dict, labels: np.ndarray, predicted: np.ndarray, names: tuple[str, ...]) -> None:
    """One reading against scikit-learn's figures of the same decisions."""
    assert values["n"] == len(labels)
    assert values["accuracy"] == pytest.approx(sk.accuracy_score(labels, predicted))
    assert values["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(labels, predicted))
    for name, score in {"f1": sk.f1_score, "precision": sk.precision_score, "recall": sk.recall_score}.items():
        assert values[name] == pytest.approx(score(labels, predicted, average="macro"))
        of_class = score(labels, predicted, average=None)
        if "by_class" in values:
            for c, row in enumerate(names):
                assert values["by_class"][row][name] == pytest.approx(of_class[c])
                assert values["by_class"][row]["n"] == (labels == c).sum()
    for name in ("accuracy", "balanced_accuracy", "f1"):
        low, high = values[f"{name}_interval"]
        assert low <= values[name] <= high
    if "confusion" in values:
        matrix = [[values["confusion"][a][b] for b in names] for a in names]
        assert matrix == sk.confusion_matrix(labels, predicted).tolist()


def naive_cross_fit(subject: Scored, rule: str, folds: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(predicted, probability of label 1), fold by fold."""
    predictions = subject.predict(subject.dataset)
    odds, labels = predictions.logits[:, 0].astype(float), predictions.labels
    keys = [item.identity or str(item.path) for item in subject.dataset.items]
    units = np.array([sorted(set(keys)).index(key) for key in keys])
    fold = deal_folds(units, labels, folds, seed)
    predicted, probability = np.zeros(len(labels), int), np.zeros(len(labels))
    for part in range(folds):
        others, own = fold != part, fold == part
        assert not set(units[others]) & set(units[own])
        temperature = fit_temperature(class_logits(odds[others, None], 2), labels[others])
        threshold = fit_threshold(1 / (1 + np.exp(-odds[others] / temperature)), labels[others] == 1, rule)
        probability[own] = 1 / (1 + np.exp(-odds[own] / temperature))
        predicted[own] = probability[own] >= threshold
    return predicted, probability


@pytest.mark.parametrize("rule", ["f1", "balanced-accuracy"])
@pytest.mark.parametrize("people", [True, False])
def test_cross_fitted_figures_are_those_of_the_naive_loop(rule: str, people: bool) -> None:
    logits, labels = binary()
    subject = Scored(logits, labels, SEXES, people)
    result = Classification(rule=rule, bootstrap_samples=50)(subject)
    predicted, probability = naive_cross_fit(subject, rule)
    check_decisions(figures(result, "fitted-threshold"), labels, predicted, SEXES)
    check_decisions(figures(result, ""), labels, predicted, SEXES)
    check_decisions(figures(result, "threshold-0.5"), labels, (logits[:, 0] >= 0).astype(int), SEXES)
    assert result.metric("balanced_accuracy") > result.metric("threshold-0.5.balanced_accuracy")
    assert result.outcomes["probability"] == pytest.approx(probability)
    assert result.outcomes["predicted"] == [SEXES[p] for p in predicted]
    (point,) = result.operating_points
    temperature = fit_temperature(class_logits(logits, 2), labels)
    assert point.values == {"temperature": temperature}
    scaled = probabilities(class_logits(logits, 2), temperature)[:, 1]
    assert point.threshold == fit_threshold(scaled, labels == 1, rule)
    assert point.rule == {"f1": "max F1 of 'female'", "balanced-accuracy": "max balanced accuracy"}[rule]
    unit = "people" if people else "photos"
    assert point.fitted_on == (
        f"all 240 photos that the run was evaluated on (their own figures are cross-fitted over {unit}, 5 folds)"
    )
    assert result.refusals == ()


def test_a_photo_never_moves_the_threshold_or_temperature_that_judges_it() -> None:
    logits, labels = binary(count=60)
    scores = read_scores(subject := Scored(logits, labels, SEXES), subject.dataset)
    fitter = OperatingPointFitter("balanced-accuracy", 1.0, folds=5, seed=0)
    before = fitter.decisions(scores, None, ())
    moved = 0
    for unit in set(scores.units):
        own = scores.units == unit
        changed = np.where(own[:, None], -7 * scores.logits, scores.logits)
        after = fitter.decisions(replace(scores, logits=changed), None, ())
        assert (after.thresholds[own] == before.thresholds[own]).all()
        assert (after.temperatures[own] == before.temperatures[own]).all()
        moved += (after.temperatures[~own] != before.temperatures[~own]).any()
    assert moved == len(set(scores.units))


def test_ranking_and_calibration_figures() -> None:
    logits, labels = binary()
    subject = Scored(logits, labels, SEXES)
    result = Classification(bootstrap_samples=200)(subject).short()
    assert result["auroc"] == pytest.approx(sk.roc_auc_score(labels, logits[:, 0]))
    assert result["average_precision"] == pytest.approx(sk.average_precision_score(labels, logits[:, 0]))
    for name in ("auroc", "average_precision"):
        assert result[f"{name}_interval"][0] <= result[name] <= result[f"{name}_interval"][1]
    _, probability = naive_cross_fit(subject, "balanced-accuracy")
    for name, p in {"ece": 1 / (1 + np.exp(-logits[:, 0])), "ece_after_temperature": probability}.items():
        confidence = np.maximum(p, 1 - p)
        right = (p > 0.5) == (labels == 1)
        bins = np.ceil(confidence * 15)
        gaps = [abs((right[bins == b] - confidence[bins == b]).sum()) for b in range(1, 16)]
        assert result[name] == pytest.approx(sum(gaps) / 240, abs=1e-6)
    assert result["ece_after_temperature"] < result["ece"]


def test_two_logits_give_the_figures_of_their_difference() -> None:
    logits, labels = binary()
    two = np.concatenate([1 - logits / 2, 1 + logits / 2], axis=1)
    ours, theirs = (
        Classification(bootstrap_samples=20)(Scored(given, labels, SEXES)).short() for given in (logits, two)
    )
    for name in ("accuracy", "balanced_accuracy", "f1", "auroc", "ece", "ece_after_temperature"):
        assert ours[name] == pytest.approx(theirs[name], abs=1e-4)


def test_calibration_photos_fit_the_threshold_and_the_reported_ones_do_not() -> None:
    logits, labels = binary()
    other, other_labels = binary(seed=9, shift=0.2)
    subject = Scored(logits, labels, SEXES)
    subject.calibrate(other, other_labels, SEXES)
    result = Classification(bootstrap_samples=5)(subject)
    temperature = fit_temperature(class_logits(other, 2), other_labels)
    threshold = fit_threshold(
        probabilities(class_logits(other, 2), temperature)[:, 1], other_labels == 1, "balanced-accuracy"
    )
    (point,) = result.operating_points
    assert (point.threshold, point.values["temperature"]) == (threshold, temperature)
    assert point.fitted_on == "the calibration split, 240 photos"
    predicted = (1 / (1 + np.exp(-logits[:, 0].astype(float) / temperature)) >= threshold).astype(int)
    check_decisions(figures(result, "fitted-threshold"), labels, predicted, SEXES)


def test_a_stored_operating_point_is_used_as_it_is() -> None:
    logits, labels = binary()
    subject = Scored(logits, labels, SEXES)
    point = OperatingPoint(0.3, "max balanced accuracy", "all 80 photos", {"temperature": 2.0})
    subject.operating_points = [point]
    result = Classification(bootstrap_samples=5)(subject)
    assert result.operating_points == (point,)
    predicted = (1 / (1 + np.exp(-logits[:, 0] / 2)) >= 0.3).astype(int)
    check_decisions(figures(result, ""), labels, predicted, SEXES)


def test_a_stated_recall() -> None:
    logits, labels = binary()
    result = Classification(rule="recall", recall=0.9, bootstrap_samples=5)(Scored(logits, labels, SEXES))
    (point,) = result.operating_points
    assert point.rule == "recall of 'female' >= 0.9"
    accepted = 1 / (1 + np.exp(-logits[:, 0] / point.values["temperature"])) >= point.threshold
    assert sk.recall_score(labels, accepted) >= 0.9
    assert result.short()["fitted-threshold"]["by_class"]["female"]["recall"] > 0.8


def test_more_classes_than_two_have_one_reading() -> None:
    names = ("a", "b", "c")
    rng = np.random.default_rng(0)
    labels = np.append(np.arange(3), rng.integers(3, size=117))
    logits = (4 * (np.eye(3)[labels] + rng.normal(size=(120, 3), scale=0.7))).astype(np.float32)
    result = Classification(bootstrap_samples=20)(Scored(logits, labels, names, people=False, group="g"))
    document = result.short()
    check_decisions(document, labels, logits.argmax(axis=1), names)
    softmax = probabilities(logits.astype(float))
    assert document["auroc"] == pytest.approx(sk.roc_auc_score(labels, softmax, multi_class="ovr"))
    assert document["average_precision"] == pytest.approx(sk.average_precision_score(np.eye(3)[labels], softmax))
    assert document["ece_after_temperature"] < document["ece"]
    assert set(document["by_group"]) == {"g0", "g1"}
    assert not {"threshold-0.5", "fitted-threshold"} & set(document)
    (point,) = document["operating_points"]
    assert (point["threshold"], point["rule"]) == (0.0, "most probable class")
    assert point["temperature"] == pytest.approx(fit_temperature(logits.astype(float), labels))


def test_groups_have_rows_and_photos_without_one_are_counted() -> None:
    logits, labels = binary()
    subject = Scored(logits, labels, SEXES, group="side ")
    reading = Classification(bootstrap_samples=20)(subject).short()["threshold-0.5"]
    assert reading["counts"] == {"photos_without_group": 48}
    assert set(reading["by_group"]) == {"side 0", "side 1"}
    inside = np.array([item.attributes.get("group") == "side 1" for item in subject.dataset.items])
    right = (logits[inside, 0] >= 0) == labels[inside]
    assert reading["by_group"]["side 1"]["accuracy"] == pytest.approx(right.mean())
    assert reading["by_group"]["side 1"]["n"] == inside.sum()
    assert reading["by_class"]["male"]["n"] == 192


def test_the_order_of_photos_changes_nothing() -> None:
    logits, labels = binary(count=90)
    subject = Scored(logits, labels, SEXES)
    first = Classification(bootstrap_samples=20)(subject).short()
    order = np.random.default_rng(0).permutation(90)
    subject.dataset.items = [subject.dataset.items[i] for i in order]
    subject.known[id(subject.dataset)] = Predictions(logits[order], labels[order], SEXES)
    second = Classification(bootstrap_samples=20)(subject).short()
    for name in ("accuracy", "balanced_accuracy_interval", "f1", "auroc_interval", "ece", "ece_after_temperature"):
        assert first[name] == pytest.approx(second[name], abs=1e-12)
    assert first["fitted-threshold"]["confusion"] == second["fitted-threshold"]["confusion"]


def reasons(result: Result) -> dict[str, str]:
    assert all(math.isfinite(value.value) for reading in result.readings for value in reading.figures.values())
    return {refusal.figure: refusal.reason for refusal in result.refusals}


def test_one_class_alone_has_an_accuracy_and_reasons() -> None:
    result = Classification(bootstrap_samples=5)(Scored(np.array([[-1.0], [2.0], [-3.0]]), np.zeros(3, int), SEXES))
    assert reasons(result) == {
        "threshold, temperature": "there is no photo of 'female'",
        "auroc, average_precision": "there is no photo of 'female'",
        "fitted-threshold": "there is no threshold but 0.5; the headline figures are at 0.5",
        "threshold-0.5.balanced_accuracy, f1, precision, recall": "there is no photo of 'female'",
    }
    document = result.short()
    assert document["accuracy"] == document["threshold-0.5"]["accuracy"] == pytest.approx(2 / 3)
    assert set(document["threshold-0.5"]["by_class"]) == {"male"}
    assert document["threshold-0.5"]["confusion"] == {
        "male": {"male": 2, "female": 1},
        "female": {"male": 0, "female": 0},
    }
    assert "ece" in document
    assert not {"auroc", "balanced_accuracy", "fitted-threshold", "operating_points"} & set(document)
    with pytest.raises(EvaluationError, match=r"no figure 'auroc' .* there is no photo of 'female'"):
        result.metric("auroc")


def test_a_class_of_one_person_cannot_be_cross_fitted() -> None:
    labels = np.array([0] * 12 + [1] * 5)
    logits = np.random.default_rng(0).normal(size=(17, 1)) + labels[:, None]
    subject = Scored(logits, labels, SEXES)
    subject.dataset.items = [
        Item(item.path, item.label, identity="eve" if item.label else item.identity) for item in subject.dataset.items
    ]
    result = Classification(bootstrap_samples=5)(subject)
    assert reasons(result)["threshold, temperature"] == (
        "one fold has all photos of 'female': to fit on some and judge the others takes people of every class in two "
        "folds"
    )
    assert result.metric("accuracy") == result.metric("threshold-0.5.accuracy")
    assert result.metric("auroc") == pytest.approx(sk.roc_auc_score(labels, logits))


def test_calibration_photos_of_one_class_fit_nothing() -> None:
    logits, labels = binary()
    subject = Scored(logits, labels, SEXES)
    subject.calibrate(logits[:3], np.ones(3, int), SEXES)
    found = reasons(Classification(bootstrap_samples=5)(subject))
    assert found["threshold, temperature"] == "the calibration photos have none of 'male'"


def test_perfect_logits_have_a_threshold_and_no_temperature() -> None:
    labels = np.arange(20) % 2
    result = Classification(bootstrap_samples=5)(Scored(6.0 * labels[:, None] - 3, labels, SEXES, people=False))
    assert reasons(result) == {
        "temperature": "in 5 of 5 folds no photo to fit it on is judged wrong, or the logits say no more than chance: "
        "no finite temperature is best and 1 is used"
    }
    assert result.metric("accuracy") == 1
    assert result.operating_points[0].threshold == pytest.approx(0.5)
    assert result.operating_points[0].values == {}
    assert "ece_after_temperature" not in result.short()


def test_a_class_that_is_never_predicted_has_no_precision() -> None:
    labels = np.arange(40) % 2
    result = Classification(bootstrap_samples=5)(Scored(np.full((40, 1), -3.0), labels, SEXES, people=False))
    assert reasons(result)["threshold-0.5.precision"] == "no photo is taken for 'female'"
    half = result.short()["threshold-0.5"]
    assert half["by_class"]["female"] == {
        "recall": 0, "n": 20, "recall_interval": [0, 0], "f1": 0, "f1_interval": [0, 0]
    }  # fmt: skip
    assert "precision" not in half
    assert half["balanced_accuracy"] == 0.5


def test_an_empty_class_of_three_leaves_out_what_needs_it() -> None:
    labels = np.arange(30) % 2
    logits = np.eye(3, dtype=np.float32)[labels] + np.random.default_rng(0).normal(size=(30, 3))
    result = Classification(bootstrap_samples=5)(Scored(logits, labels, ("a", "b", "c"), people=False))
    assert reasons(result)["balanced_accuracy, f1, precision, recall"] == "there is no photo of 'c'"
    assert set(result.short()["by_class"]) == {"a", "b"}


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (np.zeros((0, 1)), "classification: there is no photo to judge (got 0). Look at the data folder."),
        (
            np.array([[0.0], [np.nan], [np.inf]]),
            "male/001.png: its logits are not finite (2 of 3 photos). The model is broken: train with a lower "
            "optimizer.lr or fp32.",
        ),
    ],
)
def test_logits_that_cannot_be_judged_are_refused(logits: np.ndarray, message: str) -> None:
    with pytest.raises(EvaluationError, match=re.escape(message)):
        Classification()(Scored(logits, np.zeros(len(logits), int), SEXES))


@pytest.mark.parametrize(
    ("trained", "names", "message"),
    [
        ((), ("one",), "classification: a classifier tells two or more classes apart (got 1: one). Add a folder of"),
        (
            ("male", "female"),
            ("female", "male"),
            "classification: the classes are female, male, the model was trained on male, female. Give both splits the "
            "same classes in the same order.",
        ),
        (("a", "b"), ("a", "b", "c"), "classification: the classes are a, b, c, the model was trained on a, b."),
    ],
)
def test_splits_of_other_classes_are_refused(trained: tuple, names: tuple, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        Classification(class_names=trained).check(SimpleNamespace(items=[], label_names=names))
    Classification(class_names=("a", "b")).check(SimpleNamespace(items=[], label_names=("a", "b")))


@pytest.mark.parametrize("arguments", [{"rule": "recall"}, {"recall": 0.9}])
def test_a_recall_and_its_rule_belong_together(arguments: dict) -> None:
    with pytest.raises(RecipeError, match=r"evaluate\.classification: the rule .recall. and a recall belong together"):
        Classification(**arguments)
