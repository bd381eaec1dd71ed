"""Task A as a user meets it: run, eval and classify on a tiny drawn tree of two classes."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from support.task_a_tree import RECIPE, make_tree, photo, write_recipe
from support.task_b_tree import RECIPE as TASK_B
from support.task_b_tree import make_tree as make_people
from support.task_b_tree import write_recipe as write_task_b
from typer.testing import CliRunner, Result

from metricface.cli.app import app
from metricface.contracts import Result as Found
from metricface.data.images import write_image


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def finished(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one finished run."""
    folder = tmp_path_factory.mktemp("finished")
    done = metricface("run", write_recipe(folder, tree), "--out", folder / "run")
    assert done.exit_code == 0, done.output
    assert "classification accuracy " in done.stderr
    return folder / "run"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_report_pictures_and_a_classifier(finished: Path) -> None:
    names = {str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()}
    pictures = {"confusion.png", "roc.png", "precision_recall.png", "reliability.png", "metrics.png"}
    assert pictures | {"model/head.safetensors"} <= names
    report = json.loads((finished / "report.json").read_text())
    assert report["data"] == {"root": report["data"]["root"], "split": "val", "classes": 2, "photos": 40}
    found = Found.from_json(report["results"]["classification"]).short()
    assert {"accuracy", "balanced_accuracy", "f1", "auroc", "ece", "threshold-0.5", "fitted-threshold"} <= set(found)
    assert found["balanced_accuracy"] == found["fitted-threshold"]["balanced_accuracy"] > 0.7
    text = (finished / "report.md").read_text()
    assert text.startswith("# classification: 2 classes, 40 photos of val\n")
    assert "| photos of | taken for male | taken for female |" in text
    assert "In the model folder: threshold " in text
    described = json.loads((finished / "model" / "model.json").read_text())
    assert described["labels"] == ["male", "female"]
    assert described["operating_points"]["classification"] == found["operating_points"]


def test_eval_needs_no_recipe_and_gives_the_figures_of_the_report(finished: Path, tree: Path, tmp_path: Path) -> None:
    report = json.loads((finished / "report.json").read_text())["results"]
    shutil.copytree(finished / "model", tmp_path / "shared")
    for arguments in ((finished,), (tmp_path / "shared", "--data", tree), (finished, "--data", tree / "val")):
        done = metricface("eval", *arguments, "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["results"] == report


def test_classify_decides_as_eval_does_on_other_photos(finished: Path, tmp_path: Path) -> None:
    other = make_tree(tmp_path / "other", train=10, val=30)
    (other / "train").rename(tmp_path / "unused")
    for name in ("male", "female"):
        for number in range(30):
            write_image(other / "val" / name / f"{number:03}.png", photo(name == "female", number + 5000))
    figures = json.loads(metricface("eval", finished, "--data", other, "--json").stdout)["classification"]
    done = metricface("classify", finished, other / "val", "-o", tmp_path / "out.csv")
    assert done.exit_code == 0, done.output
    assert "60 photos labelled, 0 unreadable\n" in done.stderr
    rows = rows_of(tmp_path / "out.csv")
    assert [row["path"] for row in rows] == sorted(map(str, other.rglob("*.png")))
    assert {row["status"] for row in rows} == {"ok"}
    true, predicted = zip(*((Path(row["path"]).parent.name, row["label"]) for row in rows), strict=True)
    assert figures["accuracy"] == pytest.approx(accuracy_score(true, predicted))
    assert figures["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(true, predicted))
    point = json.loads((finished / "model" / "model.json").read_text())["operating_points"]["classification"][0]
    assert figures["operating_points"] == [point]
    for row in rows:
        probability = float(row["probability"])
        female = probability if row["label"] == "female" else 1 - probability
        assert (female >= point["threshold"]) == (row["label"] == "female")


@pytest.fixture
def mixed(tree: Path, tmp_path: Path) -> Path:
    """A folder with good photos, damaged ones, other files, hidden files and a link back to itself."""
    folder = tmp_path / "mixed"
    shutil.copytree(tree / "val" / "male", folder / "b")
    (folder / "a").mkdir()
    (folder / "a" / "broken.jpg").write_bytes(b"no photo")
    (folder / "a" / "empty.PNG").write_bytes(b"")
    (folder / "a" / "notes.txt").write_text("x")
    (folder / "a" / "phone.HEIC").write_bytes(b"x")
    (folder / ".trash").mkdir()
    shutil.copy(folder / "b" / "000.png", folder / ".trash")
    (folder / "a" / "._000.png").write_bytes(b"x")
    (folder / "b" / "again").symlink_to(folder)
    return folder


def test_damaged_photos_are_rows_with_a_reason(finished: Path, mixed: Path, tmp_path: Path) -> None:
    done = metricface("classify", finished, mixed, "--out", tmp_path / "out.csv", "--json", "--batch-size", "3")
    assert done.exit_code == 0, done.output
    rows = rows_of(tmp_path / "out.csv")
    assert rows[0] == {
        "path": str(mixed / "a" / "broken.jpg"),
        "label": "",
        "probability": "",
        "status": "not a photo, or a damaged one (its suffix says .jpg)",
    }
    assert rows[1]["status"] == "the file is empty"
    assert len(rows) == 22
    assert "left out as no photos: 1 .heic, 1 .txt. Convert .heic to JPEG" in done.stderr
    assert "20 photos labelled, 2 unreadable\n" in done.stderr
    assert f"{finished}/model: threshold 0." in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0] == {**rows[0], "probability": None}
    assert [(line["path"], line["label"]) for line in lines] == [(row["path"], row["label"]) for row in rows]
    assert lines[5]["probability"] == float(rows[5]["probability"])


def test_the_batch_size_changes_nothing(finished: Path, mixed: Path) -> None:
    one, many = (metricface("classify", finished, mixed, "--json", "--batch-size", size).stdout for size in (1, 50))
    ours, theirs = ([json.loads(line) for line in text.splitlines()] for text in (one, many))
    assert [row["label"] for row in ours] == [row["label"] for row in theirs]
    for a, b in zip(ours[2:], theirs[2:], strict=True):
        assert a["probability"] == pytest.approx(b["probability"], abs=1e-5)


def test_files_folders_and_patterns_stand_beside_each_other(finished: Path, mixed: Path, tmp_path: Path) -> None:
    good = mixed / "b"
    done = metricface(
        *("classify", finished, good / "003.png", good / "001.png", good / "00[0-2].png", mixed / ".trash"),
        *("-o", tmp_path / "out.csv", "--device", "cpu"),
    )
    assert done.exit_code == 0, done.output
    named = [good / "003.png", good / "001.png", good / "000.png", good / "002.png", mixed / ".trash" / "000.png"]
    assert [row["path"] for row in rows_of(tmp_path / "out.csv")] == list(map(str, named))
    assert "already taken, so not again (named twice, or a link): 1" in done.stderr


def test_a_csv_that_is_there_is_kept_unless_forced(finished: Path, mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("mine")
    done = metricface("classify", finished, mixed, "-o", out)
    assert (done.exit_code, out.read_text()) == (2, "mine")
    assert f"error: {out}: is there already. Name another file, or replace it with --force." in done.stderr
    assert metricface("classify", finished, mixed, "-o", out, "--force").exit_code == 0
    assert len(rows_of(out)) == 22


def test_what_cannot_be_classified_is_one_line(finished: Path, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text("x")
    for arguments, code, message in (
        ((finished, tree), 2, "nowhere to put the labels. Say -o out.csv, or --json for lines on stdout."),
        ((finished, tree, "-o", tmp_path / "no" / "out.csv"), 2, "its folder is missing or read-only). Name a file."),
        (
            (finished, tmp_path / "no", "--json"),
            3,
            "no: no such file or folder. Name JPEG, PNG or other photos, or folders of them.",
        ),
        (
            (finished, tmp_path / "empty", "--json"),
            3,
            "empty: no photo there (left out as no photos: 1 .txt). Name JPEG",
        ),
        ((finished, tree / "val" / "*.heic", "--json"), 3, "*.heic: no file or folder matches this pattern. Name JPEG"),
        ((finished, tree, "--json", "--batch-size", "0"), 2, "--batch-size"),
        ((finished, tree, "--json", "--device", "gpu"), 2, "error: --device: 'gpu' is not on this machine ("),
        ((finished, tree, "--json", "--device", "meta"), 2, "error: --device: 'meta' is not on this machine ("),
        ((tmp_path / "empty", tree, "--json"), 2, "no model here (no model.json)"),
    ):
        done = metricface("classify", *arguments)
        assert (done.exit_code, done.stdout) == (code, ""), done.output
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_model_of_embeddings_only_says_how_to_get_a_classifier(tmp_path: Path) -> None:
    people = make_people(tmp_path / "people")
    recipe = write_task_b(tmp_path, people, TASK_B.replace("epochs = 2", "epochs = 1"))
    assert metricface("run", recipe, "--out", tmp_path / "run").exit_code == 0
    assert not (tmp_path / "run" / "model" / "head.safetensors").exists()
    done = metricface("classify", tmp_path / "run", people, "--json")
    assert done.exit_code == 1
    assert (
        'model: this model keeps no classifier, only embeddings. Add [[evaluate]] with name = "classification" to its '
        "recipe and run that again." in done.stderr
    )


def test_a_head_whose_weights_were_changed_is_refused(finished: Path, tree: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "model", tmp_path / "model")
    weights = tmp_path / "model" / "head.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    done = metricface("classify", tmp_path / "model", tree, "--json")
    assert (done.exit_code, "head.safetensors is not the file that model.json describes" in done.stderr) == (1, True)
    weights.unlink()
    done = metricface("eval", tmp_path / "model")
    assert (done.exit_code, "model: not a readable model (head.safetensors is missing)" in done.stderr) == (1, True)


def test_a_model_folder_of_before_there_were_heads_still_loads(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "model", tmp_path / "model")
    described = json.loads((tmp_path / "model" / "model.json").read_text())
    for key in ("head", "operating_points", "calibration", "description_sha256"):
        del described[key]
    (tmp_path / "model" / "model.json").write_text(json.dumps(described))
    done = metricface("eval", tmp_path / "model")
    assert done.exit_code == 1
    assert "evaluator 'classification' needs class logits, but the model folder keeps no head." in done.stderr


def test_a_calibration_split_fits_the_threshold_and_eval_uses_it(tree: Path, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    shutil.copytree(tree, root)
    make_tree(tmp_path / "other", train=1, val=15)
    (tmp_path / "other" / "val").rename(root / "calibration")
    recipe = write_recipe(tmp_path, root)
    done = metricface("run", recipe, "--set", "data.calibration=calibration", "--out", tmp_path / "run", "--json")
    assert done.exit_code == 0, done.output
    results = json.loads(done.stdout)["results"]
    (point,) = results["classification"]["operating_points"]
    assert point["fitted_on"] == "the calibration split, 30 photos"
    shutil.rmtree(root / "calibration")
    assert json.loads(metricface("eval", tmp_path / "run", "--json").stdout)["results"] == results


def test_other_classes_in_val_are_refused_before_training(tmp_path: Path) -> None:
    people = make_people(tmp_path / "people", train=2, val=2)
    recipe = write_task_b(tmp_path, people, TASK_B.replace("identification", "classification"))
    done = metricface("run", recipe, "--out", tmp_path / "run")
    assert done.exit_code == 3
    assert (
        "error: classification: the classes are person_2, person_3, the model was trained on person_0, person_1."
        in done.stderr
    )
    assert not (tmp_path / "run").exists()


def test_an_evaluator_of_classes_without_a_head_is_a_mistake_of_the_recipe(tree: Path, tmp_path: Path) -> None:
    text = RECIPE.replace('[head]\nname = "linear"\nbinary = true\n', "").replace("bce", "contrastive")
    done = metricface("check", write_recipe(tmp_path, tree, text))
    assert done.exit_code == 2
    assert "'classification' needs the logits of a head: add a [head]" in done.stderr
