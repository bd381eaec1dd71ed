from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from support import tiny_model
from support.task_a_tree import make_tree, photo, write_recipe

from metricface.build.model_folder import load_model
from metricface.components.registry import installed_registries
from metricface.contracts import Silent
from metricface.data import photos as reading
from metricface.data.images import read_image
from metricface.data.named_photos import find_photos
from metricface.deploy.classify import Classifier, Labelled, write_csv
from metricface.errors import DataError
from metricface.recipe.load import load_recipe
from metricface.runs.run import run


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    recipe = load_recipe(write_recipe(folder, make_tree(folder / "tree")), ["train.epochs=1"])
    return run(recipe, installed_registries(), Silent(), out=folder / "run").folder / "model"


def test_photos_are_read_one_batch_at_a_time(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(reading, "read_image", lambda path: read.append(path) or photo(True, len(read)))
    done: list[tuple[int, int]] = []
    rows = Classifier(model, installed_registries()).label(
        [Path(f"{i}.png") for i in range(10)], 4, lambda now, total: done.append((now, total))
    )
    assert next(rows).path == "0.png"
    assert (len(read), done) == (4, [])
    assert len(list(rows)) == 9
    assert done == [(4, 10), (8, 10), (10, 10)]


def test_probabilities_are_those_of_the_model_alone_to_the_bit(model: Path, tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"no photo")
    paths = find_photos([model.parent.parent / "tree" / "val"]).photos[:7]
    classifier = Classifier(model, installed_registries())
    rows = list(classifier.label([*paths[:2], tmp_path / "no.png", *paths[2:], tmp_path / "gone.png"], 4))
    assert [(row.label, row.probability, row.status) for row in (rows[2], rows[8])] == [
        ("", None, "not a photo, or a damaged one (its suffix says .png)"),
        ("", None, "cannot be read (No such file or directory)"),
    ]
    loaded = load_model(model, installed_registries())
    spec = loaded.preprocessing
    mean, std = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (spec.mean, spec.std))
    female = []
    for batch in (paths[:3], paths[3:7]):  # the photos of each four that can be read go through the model together
        squares = np.stack([spec.square(read_image(path)) for path in batch])
        images = ((torch.tensor(squares).permute(0, 3, 1, 2).float() / 255) - mean) / std
        with torch.no_grad():
            logits = loaded.head(loaded.model(images.to(memory_format=torch.channels_last))).logits.numpy()
        female += [1 / (1 + np.exp(-logits[:, 0].astype(np.float64) / classifier.temperature))]
    expected = np.concatenate(female)
    found = [row for row in rows if row.status == "ok"]
    assert [row.label for row in found] == [("male", "female")[int(p >= classifier.threshold)] for p in expected]
    assert [row.probability for row in found] == [
        round(float(p if row.label == "female" else 1 - p), 6) for row, p in zip(found, expected, strict=True)
    ]


def test_the_label_follows_the_stored_threshold_and_temperature(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "model")
    file = tmp_path / "model" / "model.json"
    described = json.loads(file.read_text())
    del described["description_sha256"]
    photos = find_photos([model.parent.parent / "tree" / "val"]).photos
    female = {}
    for threshold, temperature in ((0.0, 1.0), (1.0, 1.0), (0.0, 3.0)):
        point = {"threshold": threshold, "rule": "r", "fitted_on": "f", "temperature": temperature}
        file.write_text(json.dumps({**described, "operating_points": {"classification": [point]}}))
        rows = list(Classifier(tmp_path / "model", installed_registries()).label(photos))
        assert {row.label for row in rows} == {"female" if threshold == 0 else "male"}
        p = np.array([row.probability for row in rows])
        female[threshold, temperature] = p if threshold == 0 else 1 - p
    assert female[1.0, 1.0] == pytest.approx(female[0.0, 1.0], abs=2e-6)
    odds, cooled = (np.log(p / (1 - p)) for p in (female[0.0, 1.0], female[0.0, 3.0]))
    assert cooled == pytest.approx(odds / 3, abs=1e-4)


POINT = {"threshold": 0.43217, "rule": "max F1 of 'female'", "fitted_on": "the val split", "temperature": 1.5}


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (
            [POINT],
            "threshold 0.4322, female at or above it, male below (max F1 of 'female', fitted on the val split), "
            "temperature 1.5",
        ),
        ([], "no threshold could be fitted (its report says why): 0.5 is used."),
    ],
)
def test_the_threshold_is_said_and_where_it_comes_from(
    model: Path, tmp_path: Path, points: list[dict[str, object]], said: str
) -> None:
    shutil.copytree(model, tmp_path / "model")
    file = tmp_path / "model" / "model.json"
    described = json.loads(file.read_text())
    del described["description_sha256"]
    file.write_text(json.dumps({**described, "operating_points": {"classification": points}}))
    classifier = Classifier(tmp_path / "model", installed_registries())
    assert (classifier.threshold, classifier.temperature) == ((0.43217, 1.5) if points else (0.5, 1.0))
    assert classifier.notices == (f"{tmp_path}/model: {said}",)


@pytest.mark.parametrize(("points", "also"), [([{**POINT, "threshold": 0.0}], ", temperature 1.5"), ([], "")])
def test_of_three_classes_the_most_probable_is_said_to_decide(
    tmp_path: Path, points: list[dict[str, object]], also: str
) -> None:
    folder = tiny_model.write(tmp_path / "model")
    described = tiny_model.described(folder)
    evaluators = [{"name": "classification", "arguments": {}}]
    tiny_model.put(folder, {**described, "evaluate": evaluators, "operating_points": {"classification": points}})
    classifier = Classifier(folder, installed_registries())
    assert classifier.notices == (f"{folder}: no threshold, the most probable of 3 classes decides{also}",)


def test_the_threshold_of_the_first_of_two_evaluators_is_used_and_said(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "model")
    file = tmp_path / "model" / "model.json"
    described = json.loads(file.read_text())
    del described["description_sha256"]
    described["evaluate"] *= 2
    points = {"classification": [POINT], "classification-2": [{**POINT, "threshold": 0.9}]}
    file.write_text(json.dumps({**described, "operating_points": points}))
    (notice,) = Classifier(tmp_path / "model", installed_registries()).notices
    assert "the threshold of classification is used, not that of classification-2: 0.4322, female at or" in notice


def test_a_photo_without_a_finite_number_is_a_row_that_says_so(model: Path) -> None:
    classifier = Classifier(model, installed_registries())
    with torch.no_grad():
        classifier._head.layer.bias.fill_(float("nan"))
    (row,) = classifier.label(find_photos([model.parent.parent / "tree" / "val"]).photos[:1])
    assert (row.label, row.probability, row.status) == ("", None, "the model gives no finite number for it")


def test_odd_names_are_written_and_a_failure_leaves_no_file(tmp_path: Path) -> None:
    rows = [Labelled('a,"b".png', "x", 0.5), Labelled("\udcff.png", status="gone"), Labelled("=1+1.jpg", "-x", 0.5)]
    write_csv(tmp_path / "out.csv", rows)
    assert (tmp_path / "out.csv").read_bytes() == (
        b'path,label,probability,status\n"a,""b"".png",x,0.500000,ok\n\xff.png,,,gone\n\'=1+1.jpg,\'-x,0.500000,ok\n'
    )

    def broken() -> Iterator[Labelled]:
        yield Labelled("a.png")
        raise DataError("stop")

    with pytest.raises(DataError, match="stop"):
        write_csv(tmp_path / "other.csv", broken())
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
