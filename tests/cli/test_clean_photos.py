"""Plain face recognition: people with clean photos alone, in folders or listed by a CSV, from `init` to `compare`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.layouts import write_rows
from support.task_b_tree import RECIPE, make_tree, write_recipe
from typer.testing import CliRunner, Result

from metricface.build.experiment import build_experiment
from metricface.cli.app import app
from metricface.components.registry import installed_registries
from metricface.contracts import Silent
from metricface.recipe.load import load_recipe

NOTICE = "sampler cross-condition: no photo of train is distorted and no transform distorts one, so its batches are"
GIVEN = "They give: identification.cross-source.rank1. Set train.select to one that they give, or to"


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clean photos of 5 people to train on and 3 others; the last one has a single photo and an empty distortion/."""
    root = make_tree(tmp_path_factory.mktemp("clean") / "tree")
    for folder in root.rglob("distortion"):
        shutil.rmtree(folder)
    for path in sorted((root / "val" / "person_7").glob("*.png"))[1:]:
        path.unlink()
    (root / "val" / "person_7" / "distortion").mkdir()
    return root


@pytest.fixture(scope="module")
def run(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that kept its best epoch, and what it said."""
    folder = tmp_path_factory.mktemp("run")
    select = ("--set", "train.select=identification.cross-source.rank1", "--set", "train.patience=1")
    done = metricface("run", write_recipe(folder, tree), *select, "--out", folder / "run")
    assert done.exit_code == 0, done.output
    (folder / "run" / "said.txt").write_text(done.output)
    return folder / "run"


def test_a_run_reports_clean_photos_against_one_another_and_says_what_is_missing(run: Path) -> None:
    said = (run / "said.txt").read_text()
    assert said.split("## How this was made")[0].count(NOTICE) == 1  # not in each epoch
    report = json.loads((run / "report.json").read_text())
    [reading] = report["results"]["identification"]["readings"]
    assert (reading["name"], [row["name"] for row in reading["rows"]]) == ("cross-source", ["clean"])
    assert reading["rows"][0]["figures"]["rank1"]["n"] == 6  # of two people with three photos
    assert (reading["counts"]["gallery_people"], reading["counts"]["clean_probes_without_other_photo"]) == (3, 1)
    page = (run / "report.md").read_text()
    assert "- not given: same-source.rank1, because no photo is distorted: cross-source is of the clean photos" in page
    assert (run / "metrics.png").is_file()


def test_its_model_is_evaluated_on_a_folder_of_clean_photos_and_compared(run: Path, tree: Path, tmp_path: Path) -> None:
    done = metricface("eval", run, "--data", tree / "val", "--outcomes", tmp_path / "again", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)["identification"]
    assert document["cross-source"]["by_condition"]["clean"]["n"] == 6
    assert [refusal["figure"] for refusal in document["refusals"]][:1] == ["same-source.rank1"]
    compared = metricface("compare", run, run, "--json")
    assert compared.exit_code == 0, compared.output
    rows = [(row["reading"], row["row"], row["n"]) for row in json.loads(compared.stdout)["differences"]]
    assert rows == [("cross-source", "all", 6), ("cross-source", "clean", 6)]


@pytest.mark.parametrize("reading", ["same-source", "gallery-probe"])
def test_a_figure_that_the_photos_cannot_give_is_refused_before_training(
    reading: str, tree: Path, tmp_path: Path
) -> None:
    select = f"train.select=identification.{reading}.rank1"
    done = metricface("run", write_recipe(tmp_path, tree), "--set", select, "--dry-run")
    assert done.exit_code == 2
    assert f"train.select: the photos of val give no 'identification.{reading}.rank1'. {GIVEN}" in done.stderr


def test_init_writes_a_recipe_for_them(tree: Path, tmp_path: Path) -> None:
    done = metricface("init", "--data", tree, "--out", tmp_path / "r.toml")
    assert done.exit_code == 0, done.output
    assert "val: no photo is distorted: the report has cross-source alone, of clean photos." in done.stdout
    assert load_recipe(tmp_path / "r.toml").sampler.name == "cross-condition"


def build(recipe: Path, *sets: str) -> tuple[tuple[str, ...], list[list[int]]]:
    """Return the notices of an experiment and the batches of its first epoch."""
    known = installed_registries()
    experiment = build_experiment(load_recipe(recipe, sets, known), known, Silent())
    return experiment.notices, list(experiment.loader._sampler.batches(0))


def test_a_manifest_gives_the_batches_of_the_folder_and_both_those_of_identity_balanced(
    tree: Path, tmp_path: Path
) -> None:
    paths = sorted(tree.rglob("*.png"))
    rows = [(path.relative_to(tree).as_posix(), path.parts[-3], path.parts[-2]) for path in paths]
    file = write_rows(tmp_path / "photos.csv", [("path", "split", "identity"), *rows])
    data = f'name = "csv-manifest"\nmanifest = "{file.as_posix()}"'
    notices, of_folder = build(write_recipe(tmp_path, tree))
    told, of_manifest = build(write_recipe(tmp_path, tree, RECIPE.replace('name = "identity-folder"', data)))
    _, balanced = build(write_recipe(tmp_path, tree, RECIPE.replace('"cross-condition"', '"identity-balanced"')))
    assert of_folder == of_manifest == balanced
    assert [sum(NOTICE in notice for notice in said) for said in (notices, told)] == [1, 1]


def test_where_a_transform_distorts_every_clean_photo_still_leads_a_group(tree: Path, tmp_path: Path) -> None:
    distorting = RECIPE.replace('name = "horizontal-flip"', 'name = "random-distortion"')
    notices, batches = build(write_recipe(tmp_path, tree, distorting))
    assert not any(NOTICE in notice for notice in notices)
    leaders = [index for batch in batches for index in batch[::4]]
    assert set(leaders) == set(range(15))
