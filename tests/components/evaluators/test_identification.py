"""Identification against a naive loop, on trees made by hand and by hypothesis."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from metricface.components.evaluators.identification import Identification
from metricface.contracts import ROLE, EmbeddingSet, Item
from metricface.contracts.results import Result
from metricface.errors import EvaluationError
from metricface.evaluation import gallery

# person, condition, source; a photo of its own when clean
HAND_MADE = [
    ("ann", "clean", "a1"),
    ("ann", "clean", "a2"),
    ("ann", "clean", "a3"),
    ("ann", "foggy", "a1"),
    ("ann", "rainy", "a2"),
    ("bob", "clean", "b1"),
    ("bob", "clean", "b2"),
    ("bob", "foggy", "b1"),
    ("bob", "rainy", "lost"),
    ("cid", "clean", "c1"),  # one clean photo: a distractor
    ("cid", "foggy", "c1"),
    ("dan", "foggy", "d1"),  # no clean photo at all
    ("eva", "clean", "e1"),
    ("eva", "rainy", ""),
    ("fay", "clean", "f1"),
    ("fay", "clean", "f2"),
    ("fay", "rainy", "f2"),
]


def embeddings(photos: list[tuple[str, str, str]], vectors: np.ndarray) -> EmbeddingSet:
    people = tuple(sorted({person for person, _, _ in photos}))
    conditions = ("clean", *sorted({condition for _, condition, _ in photos} - {"clean"}))
    norms = np.linalg.norm(vectors, axis=1)
    return EmbeddingSet(
        vectors=(vectors / norms[:, None]).astype(np.float32),
        norms=norms.astype(np.float32),
        labels=np.array([people.index(person) for person, _, _ in photos], np.int64),
        conditions=np.array([conditions.index(condition) for _, condition, _ in photos], np.int64),
        severities=np.zeros(len(photos), np.int64),
        sources=np.array([source and f"{person}/{source}" for person, _, source in photos], np.str_),
        paths=np.array([f"{i}.png" for i in range(len(photos))], np.str_),
        label_names=people,
        condition_names=conditions,
    )


def naive(data: EmbeddingSet, reading: str) -> list[tuple[str, int, int, int]]:
    """(condition, person, rank, predicted person) of every probe, one photo at a time."""
    found = []
    photos = range(len(data.labels))
    clean = [i for i in photos if data.conditions[i] == 0]
    for probe in photos:
        person = data.labels[probe]
        is_clean = data.conditions[probe] == 0
        source = [i for i in clean if data.labels[i] == person and data.sources[i] == data.sources[probe] != ""]
        source = [probe] if is_clean else source
        if reading == "same-source" and not is_clean and not source:
            continue
        left_out = source if is_clean or reading == "cross-source" else []
        similarity = {}
        for other in set(data.labels[clean].tolist()):
            mine = [i for i in clean if data.labels[i] == other and i not in left_out]
            if mine:
                mean = sum(data.vectors[i].astype(np.float64) for i in mine) / len(mine)
                similarity[other] = float(data.vectors[probe] @ (mean / np.linalg.norm(mean)))
        if person not in similarity:
            continue
        own = similarity.pop(person)
        ahead = [other for other, value in similarity.items() if value >= own - 1e-6]
        best = max(ahead, key=lambda other: similarity[other]) if ahead else person
        found.append((data.condition_names[data.conditions[probe]], int(person), 1 + len(ahead), int(best)))
    return found


def check_against_naive(data: EmbeddingSet, result: Result) -> None:
    people = len(set(data.labels[data.conditions == 0].tolist()))
    for reading in result.readings:
        expected = naive(data, reading.name)
        rows = {row.name: row.figures for row in reading.rows}
        assert set(rows) == {condition for condition, *_ in expected}
        groups = {condition: [e for e in expected if e[0] == condition] for condition in rows}
        groups["all"] = [e for e in expected if e[0] != "clean"] if data.conditions.any() else expected
        for name, probes in groups.items():
            values = reading.figures if name == "all" else rows[name]
            if not probes:
                assert values == {}
                continue
            _, persons, ranks, predicted = zip(*probes, strict=True)
            assert values["rank1"].n == len(probes)
            assert values["rank1"].value == pytest.approx(np.mean(np.array(ranks) == 1))
            if people >= 5:
                assert values["rank5"].value == pytest.approx(np.mean(np.array(ranks) <= 5))
            macro = f1_score(persons, predicted, labels=sorted(set(persons)), average="macro", zero_division=0)
            assert values["f1"].value == pytest.approx(macro)
            low, high = values["rank1"].interval
            assert 0 <= low <= high <= 1


def test_a_hand_made_tree_against_the_naive_loop() -> None:
    data = embeddings(HAND_MADE, np.random.default_rng(4).normal(size=(len(HAND_MADE), 3)))
    result = Identification(bootstrap_samples=20).of(data)
    check_against_naive(data, result)
    same, cross = result.readings
    assert (same.figures["rank1"].n, cross.figures["rank1"].n) == (5, 6)
    assert same.counts == {
        "gallery_people": 5,
        "probes_of_people_without_clean_photo": 1,
        "clean_probes_without_other_photo": 2,
        "probes_without_known_source": 2,
    }
    assert cross.counts == {
        "gallery_people": 5,
        "probes_of_people_without_clean_photo": 1,
        "clean_probes_without_other_photo": 2,
        "probes_without_other_photo": 1,
        "people_without_other_photo": 1,
    }
    assert same.rows[0].name == cross.rows[0].name == "clean"
    assert same.rows[0].figures == cross.rows[0].figures
    assert result.metric("cross-source.rank1") == cross.figures["rank1"].value


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    photos=st.lists(
        st.tuples(
            st.sampled_from(["p", "q", "r", "s", "t", "u"]),
            st.sampled_from(["clean", "clean", "foggy", "rainy"]),
            st.sampled_from(["1", "2", "3", ""]),
        ),
        min_size=2,
        max_size=40,
    ),
    coarse=st.booleans(),
)
def test_any_tree_against_the_naive_loop(seed: int, photos: list[tuple[str, str, str]], coarse: bool) -> None:
    seen: set[tuple[str, str]] = set()
    unique = []
    for person, condition, source in photos:  # a person's clean photos have keys of their own
        if condition == "clean":
            source = source or "9"
            if (person, source) in seen:
                continue
            seen.add((person, source))
        unique.append((person, condition, source))
    rng = np.random.default_rng(seed)
    # Coarse vectors coincide often: ties between people.
    vectors = rng.integers(1, 3, (len(unique), 2)).astype(float) if coarse else rng.normal(size=(len(unique), 3))
    data = embeddings(unique, vectors)
    if not (data.conditions == 0).any():
        return
    result = Identification(bootstrap_samples=5).of(data)
    check_against_naive(data, result)


def test_a_model_that_maps_all_photos_to_one_point_scores_zero() -> None:
    noise = np.random.default_rng(0).normal(scale=1e-8, size=(len(HAND_MADE), 8))
    result = Identification().of(embeddings(HAND_MADE, np.ones((len(HAND_MADE), 8)) + noise))
    assert result.metric("same-source.rank1") == result.metric("cross-source.rank1") == 0.0


def test_a_perfect_model_scores_one_and_the_order_of_photos_changes_nothing() -> None:
    people = sorted({person for person, _, _ in HAND_MADE})
    vectors = np.stack([np.eye(len(people))[people.index(person)] for person, _, _ in HAND_MADE])
    result = Identification().of(embeddings(HAND_MADE, vectors))
    assert result.metric("same-source.rank1") == result.metric("cross-source.rank1") == 1.0
    order = np.random.default_rng(1).permutation(len(HAND_MADE))
    noisy = vectors + np.random.default_rng(2).normal(scale=0.8, size=vectors.shape)
    first = Identification(seed=3).of(embeddings(HAND_MADE, noisy))
    second = Identification(seed=3).of(embeddings([HAND_MADE[i] for i in order], noisy[order]))
    assert first.to_json() == second.to_json()


def test_figures_that_cannot_be_given_are_refused_with_a_reason() -> None:
    photos = [("p", "clean", "1"), ("p", "foggy", "1"), ("q", "clean", "1"), ("q", "foggy", "1")]
    result = Identification().of(embeddings(photos, np.random.default_rng(0).normal(size=(4, 3))))
    refused = {refusal.figure: refusal.reason for refusal in result.refusals}
    assert refused == {
        "cross-source.rank1": "nobody with a distorted photo has a clean one besides its original. "
        "Add clean photos of the same people.",
        "same-source.rank5": "the gallery has 2 people: rank 5 needs 5 or more",
        "cross-source.rank5": "the gallery has 2 people: rank 5 needs 5 or more",
    }
    assert "rank1" not in result.short()["cross-source"]
    with pytest.raises(EvaluationError, match=r"no figure 'cross-source\.rank1' .* nobody with a distorted"):
        result.metric("cross-source.rank1")


@pytest.mark.parametrize(
    ("photos", "reason"),
    [
        ([("p", "clean", "1"), ("q", "foggy", "1")], "nobody has both a clean and a distorted photo. `metricface"),
        ([("p", "foggy", "1"), ("q", "foggy", "")], "nobody has both a clean and a distorted photo. `metricface"),
        ([("p", "clean", "1"), ("p", "foggy", ""), ("q", "clean", "1")], "no distorted photo names a clean one of its"),
    ],
)
def test_a_reading_without_probes_says_why(photos: list[tuple[str, str, str]], reason: str) -> None:
    data = embeddings(photos, np.random.default_rng(0).normal(size=(len(photos), 3)))
    result = Identification().of(data)
    refused = {refusal.figure: refusal.reason for refusal in result.refusals}
    assert refused["same-source.rank1"].startswith(reason)
    assert result.readings[0].figures == {}
    check_against_naive(data, result)


def test_clean_photos_alone_are_probes_of_one_another_and_the_rest_is_refused_with_a_reason() -> None:
    photos = [("p", "clean", "1"), ("p", "clean", "2"), ("q", "clean", "1"), ("q", "clean", "2"), ("r", "clean", "1")]
    vectors = np.array([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.1], [0.1, 1.0], [0.0, 1.0]])  # q's second is close to r's
    data = embeddings(photos, vectors)
    result = Identification(bootstrap_samples=5).of(data)
    [cross] = result.readings
    check_against_naive(data, result)
    assert (cross.name, [row.name for row in cross.rows], cross.counts["gallery_people"]) == (
        "cross-source",
        ["clean"],
        3,
    )
    assert cross.counts["clean_probes_without_other_photo"] == 1  # r: in the gallery, and no probe
    assert (cross.figures["rank1"].value, cross.figures["rank1"].n) == (0.5, 4)  # q's photos are far from each other
    assert cross.figures == cross.rows[0].figures
    assert {refusal.figure: refusal.reason for refusal in result.refusals} == {
        "same-source.rank1": "no photo is distorted: cross-source is of the clean photos, each left out of its own "
        "person's mean, and has no row of a distortion. `metricface data distort` makes distorted photos from clean "
        "ones; with --split it keeps your split.",
        "cross-source.rank5": "the gallery has 3 people: rank 5 needs 5 or more",
    }


def test_nobody_with_two_clean_photos_is_said_where_none_is_distorted() -> None:
    data = embeddings([("p", "clean", "1"), ("q", "clean", "1")], np.eye(2))
    refused = {refusal.figure: refusal.reason for refusal in Identification().of(data).refusals}
    assert refused["cross-source.rank1"] == "nobody has two clean photos. Add photos of the same people."


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("pqr"), st.sampled_from(["clean", "clean", "foggy"]), st.sampled_from(["1", "2", ""])
        ),
        max_size=8,
        unique=True,
    ),
    st.lists(st.sampled_from(["gallery", "probe"]), min_size=8, max_size=8) | st.none(),
)
def test_the_figures_said_to_be_given_by_a_split_are_those_that_it_gives(
    photos: list[tuple[str, str, str]], roles: list[str] | None
) -> None:
    data = embeddings(photos, np.ones((len(photos), 2))) if photos else None
    keys = [source and f"{person}/{source}" for person, _, source in photos]
    given_roles = ["" for _ in photos] if roles is None else roles[: len(photos)]
    items = [
        Item(Path("x"), ord(person), condition, source=key, attributes={ROLE: role})
        for (person, condition, _), key, role in zip(photos, keys, given_roles, strict=True)
    ]
    said = Identification().metrics_on(SimpleNamespace(items=items))
    if data is None or "clean" not in {condition for _, condition, _ in photos}:
        assert said == ()
        return
    attributes = {} if roles is None else {ROLE: np.array(given_roles)}
    result = Identification(bootstrap_samples=5).of(replace(data, attributes=attributes))
    assert set(said) == {name for name in result.figures() if name.endswith("rank1")}


def test_blocks_of_probes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = embeddings(HAND_MADE, np.random.default_rng(4).normal(size=(len(HAND_MADE), 3)))
    whole = Identification().of(data)
    monkeypatch.setattr(gallery, "_BLOCK_BYTES", 100)  # two probes at once
    assert Identification().of(data).to_json() == whole.to_json()


def test_the_subject_is_embedded_once_on_its_own_photos() -> None:
    data = embeddings(HAND_MADE, np.random.default_rng(4).normal(size=(len(HAND_MADE), 3)))
    asked = []
    subject = SimpleNamespace(dataset="val", embed=lambda dataset: asked.append(dataset) or data)
    assert Identification()(subject).to_json() == Identification().of(data).to_json()
    assert asked == ["val"]


def test_short_json_has_the_shape_that_eval_promises() -> None:
    data = embeddings(HAND_MADE, np.random.default_rng(4).normal(size=(len(HAND_MADE), 3)))
    document = Identification(bootstrap_samples=20).of(data).short()
    foggy = document["same-source"]["by_condition"]["foggy"]
    assert set(document) == {"same-source", "cross-source"}
    assert set(foggy) == {"rank1", "rank1_interval", "n", "rank5", "precision", "recall", "f1"}
    assert isinstance(document["cross-source"]["rank1"], float)
    assert isinstance(document["cross-source"]["n"], int)


def test_outcomes_say_what_became_of_every_probe() -> None:
    data = embeddings(HAND_MADE, np.random.default_rng(4).normal(size=(len(HAND_MADE), 3)))
    outcomes = Identification(bootstrap_samples=20).of(data).outcomes
    added = ["nearest", "own_cosine", "nearest_cosine", "margin"]
    assert list(outcomes) == ["reading", "path", "person", "condition", "rank", *added]
    rows = list(zip(*outcomes.values(), strict=True))
    assert len({row[:2] for row in rows}) == len(rows)
    for reading in ("same-source", "cross-source"):
        expected = [(condition, data.label_names[person], rank) for condition, person, rank, _ in naive(data, reading)]
        assert [(row[3], row[2], row[4]) for row in rows if row[0] == reading] == expected
    for _, path, person, condition, *_ in rows:
        assert HAND_MADE[int(path.removesuffix(".png"))][:2] == (person, condition)


def test_outcomes_name_the_nearest_other_person_and_the_margin() -> None:
    """On a plane: Ann at 0 degrees, Bob at 90, Cid at 180; a foggy Ann at 30 and a foggy Bob at 20."""
    photos = [
        ("ann", "clean", "a"),
        ("bob", "clean", "b"),
        ("cid", "clean", "c"),
        ("ann", "foggy", "a"),
        ("bob", "foggy", "b"),
    ]
    angles = np.radians([0, 90, 180, 30, 20])
    found = Identification(bootstrap_samples=5).of(embeddings(photos, np.stack([np.cos(angles), np.sin(angles)], 1)))
    rows = [dict(zip(found.outcomes, row, strict=True)) for row in zip(*found.outcomes.values(), strict=True)]
    ann, bob = (row for row in rows if row["reading"] == "same-source" and row["condition"] == "foggy")
    assert (ann["rank"], ann["nearest"]) == (1, "bob")
    assert (bob["rank"], bob["nearest"]) == (2, "ann")
    cos = [float(np.cos(np.radians(angle))) for angle in (30, 60, 70, 20)]
    for row, own, nearest in ((ann, cos[0], cos[1]), (bob, cos[2], cos[3])):
        assert float(row["own_cosine"]) == pytest.approx(own, abs=2e-6)
        assert float(row["nearest_cosine"]) == pytest.approx(nearest, abs=2e-6)
        assert float(row["margin"]) == pytest.approx(own - nearest, abs=2e-6)


def test_alone_in_the_gallery_nobody_is_nearest() -> None:
    photos = [("ann", "clean", "a"), ("ann", "foggy", "a")]
    outcomes = Identification(bootstrap_samples=5).of(embeddings(photos, np.eye(2))).outcomes
    assert [outcomes[key] for key in ("nearest", "nearest_cosine", "margin")] == [[""], [""], [""]]
    assert outcomes["own_cosine"] == ["0.000000"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            np.nan,
            "1.png: its embedding is not finite (got 2 such of 17 photos). Embeddings are finite and of length 1. "
            "The model is broken: train with a lower optimizer.lr or fp32.",
        ),
        (
            np.inf,
            "1.png: its embedding is not finite (got 2 such of 17 photos). Embeddings are finite and of length 1. "
            "The model is broken: train with a lower optimizer.lr or fp32.",
        ),
        (
            0,
            "1.png: its embedding has length 0 (got 2 such of 17 photos). Embeddings are finite and of length 1. "
            "Divide each by its length.",
        ),
        (
            2,
            "1.png: its embedding has length 2 (got 2 such of 17 photos). Embeddings are finite and of length 1. "
            "Divide each by its length.",
        ),
    ],
)
def test_vectors_that_have_no_cosine_are_refused(change: float, message: str) -> None:
    data = embeddings(HAND_MADE, np.random.default_rng(4).normal(size=(len(HAND_MADE), 3)))
    unit = data.vectors.copy()
    data.vectors[[1, 4]] *= change
    with pytest.raises(EvaluationError) as caught:
        Identification().of(data)
    assert str(caught.value) == message
    data.vectors[:] = unit.astype(np.float16)  # the rounding of half precision will do
    assert Identification(bootstrap_samples=5).of(data).readings
