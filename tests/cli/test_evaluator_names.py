"""Evaluators under the names that a recipe gives them: of a package, or two of one kind."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.task_a_tree import RECIPE, make_tree, write_recipe
from support.task_b_tree import RECIPE as TASK_B
from support.task_b_tree import make_tree as make_people
from support.task_b_tree import write_recipe as write_task_b
from typer.testing import CliRunner, Result

from metricface.cli.app import app
from metricface.contracts.results import Result as Found

OURS = "metricface:classification"
ONE = RECIPE.replace('name = "classification"', f'name = "{OURS}"')
TWO = ONE + f'\n[[evaluate]]\nname = "{OURS}"\nrule = "recall"\nrecall = 0.7\nbootstrap_samples = 20\n'
NAMES = [OURS, f"{OURS}-2"]


def metricface(*arguments: object, code: int = 0) -> Result:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def finished(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two evaluators of one name, one of them changed and selected by its number."""
    folder = tmp_path_factory.mktemp("finished")
    sets = (f"evaluate.{OURS}-2.recall=0.9", f'train.select="{OURS}-2.balanced_accuracy"')
    arguments = [word for key in sets for word in ("--set", key)]
    metricface("run", write_recipe(folder, tree, TWO), *arguments, "--out", folder / "run")
    return folder / "run"


@pytest.fixture
def model(finished: Path, tmp_path: Path) -> Path:
    """A copy of the model, in which the first evaluator's threshold is 0.9 and the second one's 0.1."""
    folder = shutil.copytree(finished / "model", tmp_path / "model")
    described = json.loads((folder / "model.json").read_text())
    assert list(described["operating_points"]) == NAMES
    for name, threshold in zip(NAMES, (0.9, 0.1), strict=True):
        (point,) = described["operating_points"][name]
        point["threshold"] = threshold
    del described["description_sha256"]
    (folder / "model.json").write_text(json.dumps(described))
    return folder


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Other photos than the thresholds were fitted on."""
    root = make_tree(tmp_path / "other", train=10, val=1)
    shutil.rmtree(root / "val")
    (root / "train").rename(root / "val")
    return root


def of(document: dict[str, Any], name: str) -> Found:
    return Found.from_json(document["results"][name])


def test_a_run_tells_them_apart_everywhere(finished: Path) -> None:
    report = json.loads((finished / "report.json").read_text())
    first, second = (of(report, name) for name in NAMES)
    assert (first.operating_points[0].rule, second.operating_points[0].rule) == (
        "max balanced accuracy",
        "recall of 'female' >= 0.9",
    )
    assert f"the best {NAMES[1]}.balanced_accuracy (" in report["selection"]
    text = (finished / "report.md").read_text()
    assert [line.partition(" 2 classes")[0] for line in text.splitlines() if line.startswith("# ")] == [
        f"# {name}:" for name in NAMES
    ]
    described = json.loads((finished / "model" / "model.json").read_text())
    assert described["operating_points"] == {
        name: [point.to_json() for point in of(report, name).operating_points] for name in NAMES
    }
    files = {path.name for path in (finished / "outcomes").iterdir()}
    assert files == {"metricface%3Aclassification.csv", "metricface%3Aclassification-2.csv"}
    pictures = {path.name for path in finished.glob("confusion*.png")}
    assert pictures == {"confusion.png", "confusion_metricface%3Aclassification-2.png"}
    listed = json.loads(metricface("runs", "list", finished, "--json").stdout)[0]["figures"]
    assert {f"{name}.balanced_accuracy" for name in NAMES} <= set(listed)
    compared = json.loads(metricface("compare", finished, finished, "--json", "--samples", 9).stdout)
    assert {found["evaluator"] for found in compared["differences"]} == set(NAMES)


def test_each_uses_its_own_stored_threshold_on_other_photos(model: Path, other: Path, tmp_path: Path) -> None:
    done = metricface("eval", model, "--data", other, "--outcomes", tmp_path, "--json")
    document = json.loads(done.stdout)
    for name, threshold in zip(NAMES, (0.9, 0.1), strict=True):
        (point,) = of(document, name).operating_points
        assert point.threshold == threshold
        with (tmp_path / "outcomes" / f"{name.replace(':', '%3A')}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 12
        taken_for = ["female" if float(row["probability"]) >= threshold else "male" for row in rows]
        assert [row["predicted"] for row in rows] == taken_for
        right = [row["label"] == row["predicted"] for row in rows]
        assert of(document, name).metric("fitted-threshold.accuracy") == pytest.approx(sum(right) / len(right))


def test_classify_uses_the_first_one_and_says_so(model: Path, other: Path) -> None:
    done = metricface("classify", model, other, "--json")
    for row in map(json.loads, done.stdout.splitlines()):
        female = row["probability"] if row["label"] == "female" else 1 - row["probability"]
        assert (row["label"] == "female") == (female >= 0.9)
    assert f"the threshold of {NAMES[0]} is used, not that of {NAMES[1]}: " in done.stderr


def test_on_the_photos_that_they_were_fitted_on_they_are_cross_fitted(model: Path, finished: Path, tree: Path) -> None:
    report = json.loads((finished / "report.json").read_text())["results"]
    document = json.loads(metricface("eval", model, "--data", tree, "--json").stdout)
    assert document["results"] == report


def test_a_plain_name_and_that_of_the_package_are_two(tree: Path, tmp_path: Path) -> None:
    text = RECIPE + f'\n[[evaluate]]\nname = "{OURS}"\nrule = "f1"\nbootstrap_samples = 20\n'
    recipe = write_recipe(tmp_path, tree, text)
    metricface("run", recipe, "--set", "train.epochs=1", "--out", tmp_path / "run")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert list(report["results"]) == ["classification", OURS]
    document = json.loads(metricface("eval", tmp_path / "run", "--json").stdout)
    assert document["classification"] == of(report, "classification").short()


def test_the_same_evaluator_twice_is_a_mistake_under_any_name(tree: Path, tmp_path: Path) -> None:
    text = RECIPE + f'\n[[evaluate]]\nname = "{OURS}"\nbootstrap_samples = 50\n'
    done = metricface("check", write_recipe(tmp_path, tree, text), code=2)
    assert (
        f"evaluate.{OURS}.name  '{OURS}' stands there twice with the same arguments: take one out, or change it"
        in done.stderr
    )


def test_a_gallery_of_ones_own_is_identified_as_the_recipe_says_under_its_name(tmp_path: Path) -> None:
    people = make_people(tmp_path / "people")
    text = TASK_B.replace('name = "identification"', 'name = "metricface:identification"')
    recipe = write_task_b(tmp_path, people, text.replace("epochs = 2", "epochs = 1"))
    metricface("run", recipe, "--out", tmp_path / "run")
    folders = ("--gallery", people / "train", "--probe", people / "train")
    document = json.loads(metricface("eval", tmp_path / "run", *folders, "--json").stdout)
    assert set(document) == {"metricface:identification", "results"}
