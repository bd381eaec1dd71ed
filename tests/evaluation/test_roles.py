"""A gallery and probes of one's own against a naive loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from metricface.components.evaluators.identification import Identification
from metricface.contracts import EmbeddingSet, Item
from metricface.errors import DataError
from metricface.evaluation import gallery

PEOPLE = ("ann", "bob", "cid", "dan", "eva", "fay", "gus")  # gus and fay have no clean photo in the gallery
CONDITIONS = ("clean", "foggy", "rainy")
ENROLLED = PEOPLE[:5]


def data(seed: int = 0, noise: float = 0.8) -> EmbeddingSet:
    """Two clean and a foggy photo of five people (and a foggy one of fay) in the gallery; three probes of everybody."""
    photos = [(person, condition, "gallery") for person in ENROLLED for condition in ("clean", "clean", "foggy")]
    photos += [("fay", "foggy", "gallery"), ("ann", "clean", "")]
    photos += [(person, condition, "probe") for person in PEOPLE for condition in CONDITIONS]
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(PEOPLE), 6))
    raw = np.stack([centres[PEOPLE.index(person)] for person, _, _ in photos])
    raw += rng.normal(scale=noise, size=raw.shape)
    norms = np.linalg.norm(raw, axis=1)
    return EmbeddingSet(
        vectors=(raw / norms[:, None]).astype(np.float32),
        norms=norms.astype(np.float32),
        labels=np.array([PEOPLE.index(person) for person, _, _ in photos], np.int64),
        conditions=np.array([CONDITIONS.index(condition) for _, condition, _ in photos], np.int64),
        severities=np.zeros(len(photos), np.int64),
        sources=np.array([f"{person}/1" for person, _, _ in photos], np.str_),  # the same in gallery and probes
        paths=np.array([f"/d/{i}.png" for i in range(len(photos))], np.str_),
        label_names=PEOPLE,
        condition_names=CONDITIONS,
        attributes={"role": np.array([role for *_, role in photos], np.str_)},
    )


def naive(given: EmbeddingSet) -> tuple[list[tuple[int, str, int, float]], list[float]]:
    """(photo, condition, rank, cosine to the own person) of known probes, and the highest cosine of unknown ones."""
    roles = given.attributes["role"]
    means = {}
    for label in range(len(PEOPLE)):
        mine = [
            given.vectors[i].astype(np.float64)
            for i in range(len(roles))
            if (roles[i], given.conditions[i], given.labels[i]) == ("gallery", 0, label)
        ]
        if mine:
            means[label] = sum(mine) / np.linalg.norm(sum(mine))
    known, unknown = [], []
    for i in range(len(roles)):
        if roles[i] != "probe":
            continue
        cosines = {label: float(given.vectors[i] @ mean) for label, mean in means.items()}
        if given.labels[i] not in means:
            unknown.append(max(cosines.values()))
            continue
        own = cosines.pop(given.labels[i])
        rank = 1 + sum(cosine >= own - 1e-6 for cosine in cosines.values())
        known.append((i, CONDITIONS[given.conditions[i]], rank, own))
    return known, unknown


@pytest.mark.parametrize("block", [64 * 2**20, 100])
@pytest.mark.parametrize("seed", range(4))
def test_ranks_and_similarities_against_a_naive_loop(seed: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "_BLOCK_BYTES", block)
    given = data(seed)
    known, unknown = naive(given)
    result = Identification(bootstrap_samples=20).of(given)
    reading, similarity = result.readings
    assert [reading.name, similarity.name] == ["gallery-probe", "similarity"]
    assert reading.figures["rank1"].value == pytest.approx(np.mean([rank == 1 for _, _, rank, _ in known]))
    assert reading.figures["rank5"].value == 1.0
    assert reading.figures["rank1"].n == 15
    for row in reading.rows:
        ranks = [rank for _, condition, rank, _ in known if condition == row.name]
        assert (row.figures["rank1"].n, row.figures["rank1"].value) == (5, pytest.approx(np.mean(np.array(ranks) == 1)))
    assert [row.name for row in reading.rows] == list(CONDITIONS)
    for row, cosines in zip(similarity.rows, ([own for *_, own in known], unknown), strict=True):
        expected = [np.mean(cosines), *np.quantile(cosines, [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])]
        assert [value.value for value in row.figures.values()] == pytest.approx(expected, abs=1e-6)
        assert {value.n for value in row.figures.values()} == {len(cosines)}
    assert [row.name for row in similarity.rows] == ["genuine", "unknown"]
    assert result.outcomes["rank"] == [rank for _, _, rank, _ in known]
    assert result.outcomes["path"] == [f"/d/{i}.png" for i, *_ in known]


def test_everything_left_out_is_counted() -> None:
    result = Identification(bootstrap_samples=20).of(data())
    assert result.readings[0].counts == {
        "gallery_people": 5,
        "gallery_photos": 10,
        "unknown_people": 2,
        "unknown_probes": 6,
        "distorted_gallery_photos_left_out": 6,
        "photos_without_role": 1,
    }
    assert result.metric("gallery-probe.rank1") == result.readings[0].figures["rank1"].value
    document = result.short()
    assert set(document) == {"gallery-probe", "similarity"}
    assert set(document["similarity"]["by_similarity"]) == {"genuine", "unknown"}
    units = {value.unit for row in result.readings[1].rows for value in row.figures.values()}
    assert units == {"cosine"}


def test_a_perfect_model_knows_everybody_of_the_gallery_and_nobody_else() -> None:
    vectors = np.eye(len(PEOPLE), dtype=np.float32)[data().labels]
    result = Identification(bootstrap_samples=20).of(replace(data(), vectors=vectors))
    genuine, unknown = result.readings[1].rows
    assert result.metric("gallery-probe.rank1") == 1.0
    assert (genuine.figures["q01"].value, unknown.figures["q99"].value) == (1.0, 0.0)


def test_probes_of_unknown_people_alone_have_similarities_and_no_rank() -> None:
    given = data()
    roles = np.where(given.labels < 5, np.where(given.attributes["role"] == "probe", "", "gallery"), "probe")
    result = Identification().of(replace(given, attributes={"role": roles}))
    refused = {refusal.figure: refusal.reason for refusal in result.refusals}
    assert refused == {
        "gallery-probe.rank1": "no probe is of a person in the gallery. A person needs one name in both."
    }
    assert result.readings[0].figures == {}
    assert [row.name for row in result.readings[1].rows] == ["unknown"]


def test_a_dataset_that_gives_nobody_a_role_is_read_as_ever() -> None:
    given = data()
    plain = Identification(bootstrap_samples=20).of(replace(given, attributes={}))
    empty = Identification(bootstrap_samples=20).of(
        replace(given, attributes={"role": np.full(len(given.labels), "", np.str_)})
    )
    assert [reading.name for reading in empty.readings] == ["same-source", "cross-source"]
    assert empty.to_json() == plain.to_json()


@pytest.mark.parametrize(
    ("photos", "message"),
    [
        (
            [("ann", "clean", "gallery"), ("bob", "clean", "Probe")],
            "val/bob.jpg: unknown role (got 'Probe'). Roles: gallery, probe, or none.",
        ),
        (
            [("ann", "clean", "gallery"), ("bob", "foggy", "gallery"), ("bob", "clean", "probe")],
            "identification: a gallery needs two or more people with a clean photo (got 1 with the role gallery). "
            "Add clean photos of other people.",
        ),
        (
            [("ann", "clean", "gallery"), ("bob", "clean", "gallery"), ("bob", "foggy", "")],
            "identification: no photo has the role probe, so there is nothing to identify. Add some.",
        ),
    ],
)
def test_roles_that_nobody_can_be_identified_with_are_refused(photos: list[tuple[str, str, str]], message: str) -> None:
    items = [
        Item(Path(f"val/{person}.jpg"), PEOPLE.index(person), condition, attributes={"role": role})
        for person, condition, role in photos
    ]
    with pytest.raises(DataError) as error:
        Identification().check(SimpleNamespace(items=items))
    assert str(error.value) == message


def test_two_people_in_the_gallery_and_a_clean_probe_are_enough() -> None:
    roles = {"ann": "gallery", "bob": "gallery", "cid": "probe"}
    items = [Item(Path(f"{name}.jpg"), PEOPLE.index(name), attributes={"role": role}) for name, role in roles.items()]
    Identification().check(SimpleNamespace(items=items))
