"""`metricface run` and `eval` as a user meets them, on a tiny tree."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from support.installed import install, installing
from support.task_b_tree import RECIPE, make_tree, write_recipe
from typer.testing import CliRunner, Result

from metricface.build.model_folder import load_model
from metricface.cli.app import app
from metricface.components.registry import installed_registries
from metricface.contracts import Result as Found


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture
def recipe(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_recipe(tmp_path, tree)


@pytest.fixture(scope="module")
def finished(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one finished run."""
    folder = tmp_path_factory.mktemp("finished")
    done = metricface("run", write_recipe(folder, tree), "--out", folder / "run")
    assert done.exit_code == 0, done.output
    return folder / "run"


def test_a_run_leaves_everything_that_the_readme_promises(finished: Path) -> None:
    names = {str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()}
    assert names == {
        "recipe.toml",
        "run.json",
        "run.lock",
        "metrics.jsonl",
        "times.jsonl",
        "checkpoints/last.pt",
        "model/model.safetensors",
        "model/model.json",
        "report.json",
        "report.md",
        "outcomes/identification.csv",
        "losses.png",
        "metrics.png",
    }
    record = json.loads((finished / "run.json").read_text())
    assert record["status"] == "finished"
    assert {"kind": "head", "name": "arcface", "distribution": "metricface", "version": "0.1.0"} in record["components"]
    report = json.loads((finished / "report.json").read_text())
    same, cross = report["results"]["identification"]["readings"]
    assert (same["name"], cross["name"], same["by"]) == ("same-source", "cross-source", "condition")
    assert [row["name"] for row in same["rows"]] == ["clean", "blurred", "noisy"]
    assert same["figures"]["rank1"]["n"] == 3 * 3 * 2
    assert same["figures"]["rank1"]["unit"] == "share"
    assert report["data"] == {"root": report["data"]["root"], "split": "val", "people": 3, "photos": 27}
    assert report["selection"] == "the last epoch: nothing was selected"
    assert "cross-source" in (finished / "report.md").read_text()


def test_the_same_recipe_and_seed_give_the_same_journal_and_figures(finished: Path, recipe: Path) -> None:
    assert metricface("run", recipe, "--out", "again").exit_code == 0
    assert Path("again/metrics.jsonl").read_text() == (finished / "metrics.jsonl").read_text()


def test_a_finished_run_is_shown_and_not_done_again_from_its_resolved_recipe_too(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    done = metricface("run", finished / "recipe.toml", "--out", finished, "--resume")
    assert done.exit_code == 0, done.output
    assert done.stderr == f"finished already in {finished}\n"
    assert (finished / "report.md").read_text().strip() in done.stdout
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


def test_eval_gives_the_figures_of_the_report_without_a_recipe(finished: Path, tree: Path, tmp_path: Path) -> None:
    report = json.loads((finished / "report.json").read_text())["results"]
    shutil.copytree(finished / "model", tmp_path / "shared")
    for arguments in (
        (finished,),
        (tmp_path / "shared", "--data", tree),
        (finished / "model", "--data", tree / "val"),
    ):
        done = metricface("eval", *arguments, "--json")
        assert done.exit_code == 0, done.output
        document = json.loads(done.stdout)
        assert document["results"] == report
        assert document["identification"] == Found.from_json(report["identification"]).short()
        assert set(document) == {"identification", "results"}


def test_eval_refuses_a_folder_for_outcomes_that_cannot_be_made_before_it_evaluates(
    finished: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = metricface("eval", finished, "--outcomes", tmp_path / "file" / "x", "--data", tmp_path / "none")
    assert (done.exit_code, done.stderr) == (
        2,
        f"error: {tmp_path}/file/x/outcomes: cannot be written to (Not a directory). "
        "Name another folder with --outcomes.\n",
    )
    done = metricface("eval", finished, "--outcomes", tmp_path / "a" / "b", "--data", tmp_path / "none")
    assert (done.exit_code, (tmp_path / "a").exists()) == (3, False)


def without_digest(description: str) -> str:
    """Return a model.json less the line that its reader has to take out who changes it."""
    lines = description.splitlines()
    kept = [line for line in lines if '"description_sha256"' not in line]
    assert len(kept) == len(lines) - 1
    return "\n".join(kept)


def test_eval_crops_mirrors_and_zooms_as_the_recipe_says(recipe: Path) -> None:
    zoomed = ("--set", "embedding.mirror=true", "--set", "embedding.zoom=0.5")
    zoomed += ("--set", "embedding.projection=true", "--set", "embedding.whitening=0.5")
    shortened = ("--set", "train.epochs=1", "--set", "data.crop=0.6", *zoomed)
    done = metricface("run", recipe, *shortened, "--out", "run", "--json")
    results = json.loads(done.stdout)["results"]
    assert json.loads(metricface("eval", "run", "--json").stdout)["results"] == results
    assert load_model(Path("run"), installed_registries()).model.whitening.strength == 0.5
    model = Path("run/model/model.json")
    description = without_digest(model.read_text())
    for stored, changed in (
        ('"crop": 0.6', '"crop": 1.0'),
        ('"mirror": true', '"mirror": false'),
        ('"zoom": 0.5', '"zoom": 1.0'),
    ):
        assert stored in description
        model.write_text(description.replace(stored, changed))
        assert json.loads(metricface("eval", "run", "--json").stdout)["results"] != results


def test_a_model_whose_weights_were_changed_is_refused(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "model", tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    done = metricface("eval", tmp_path / "model")
    assert done.exit_code == 1
    assert "model.safetensors is not the file that model.json describes" in done.stderr


def test_a_run_folder_is_never_overwritten(finished: Path, recipe: Path) -> None:
    done = metricface("run", recipe, "--out", finished)
    assert (done.exit_code, "Name another --out, or go on with --resume." in done.stderr) == (2, True)
    done = metricface("run", recipe, "--out", finished, "--resume", "--set", "head.margin=0.1")
    assert (done.exit_code, "holds the run of another recipe" in done.stderr) == (2, True)


def test_dry_run_checks_everything_and_writes_nothing(recipe: Path, tmp_path: Path) -> None:
    done = metricface("run", recipe, "--dry-run", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["train"]["people"] == 5
    assert document["batches_per_epoch"] == 4
    assert document["training_seconds"] > 0
    said = r"about [\d.]+ (s|min|h) on cpu \(by \d timed steps? and a timed forward pass for the evaluations\)"
    assert re.fullmatch(said, document["training_takes"])
    assert document["memory_bytes"] > 0
    said = r"[\d.]+ of [\d.]+ GiB of memory \(by these steps\), 0\.0 GiB of it decoded photos"
    assert re.fullmatch(said, document["memory"])
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"]


def test_photos_of_too_many_pixels_are_refused_unread(recipe: Path) -> None:
    done = metricface("run", recipe, "--set", "data.max_pixels=100", "--dry-run")
    assert done.exit_code == 3
    assert "45 of 45 photos cannot be read, more than 5%" in done.stderr
    assert (
        "pixels, more than the 100 that are read. Make it smaller, take it out, or raise data.max_pixels" in done.stderr
    )


def test_json_is_the_only_thing_on_stdout(recipe: Path) -> None:
    done = metricface("run", recipe, "--set", "train.epochs=1", "--json", "--out", "run")
    assert json.loads(done.stdout)["folder"] == "run"
    assert "epoch 1: cross-entropy" in done.stderr


def test_select_keeps_the_best_epoch_and_says_that_its_figures_are_optimistic(recipe: Path) -> None:
    done = metricface("run", recipe, "--set", "train.select=identification.same-source.rank1", "--out", "run", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert "on val itself, so the figures here are optimistic" in document["selection"]
    assert Path("run/checkpoints/best.pt").exists()


def test_a_calibration_split_selects_the_epoch(tree: Path, tmp_path: Path, recipe: Path) -> None:
    root = shutil.copytree(tree, tmp_path / "tree")
    (root / "train" / "person_4").rename(root / "train" / "person_9")
    shutil.copytree(root / "val", root / "calibration")
    for folder in (root / "calibration").iterdir():
        folder.rename(folder.with_name(f"other_{folder.name}"))
    arguments = ("--set", f"data.root={root}", "--set", "data.calibration=calibration")
    done = metricface(
        "run", recipe, *arguments, "--set", "train.select=identification.same-source.rank1", "--out", "run", "--json"
    )
    assert done.exit_code == 0, done.output
    assert "on calibration, apart from the people reported here" in json.loads(done.stdout)["selection"]


def failing(tree: Path, tmp_path: Path, change) -> Path:
    root = shutil.copytree(tree, tmp_path / "tree")
    change(root)
    return root


DATA_MISTAKES = {
    "missing folder": (lambda root: shutil.rmtree(root), "no such folder"),
    "empty split": (lambda root: [shutil.rmtree(p) for p in (root / "val").iterdir()], "val"),
    "one person in both": (
        lambda root: shutil.copytree(root / "train" / "person_1", root / "val" / "person_1"),
        "data: 1 person is in both train and val (person_1), so val would not measure people never trained on. "
        "Keep each person in one split.",
    ),
    "too few people": (lambda root: [shutil.rmtree(root / "train" / f"person_{i}") for i in (1, 2, 3)], "batch_size"),
    "nobody twice": (
        lambda root: (
            [shutil.rmtree(p) for p in (root / "val").glob("*/distortion")]
            + [p.unlink() for p in (root / "val").glob("*/photo_[12].png")]
        ),
        "metricface data distort",
    ),
}


@pytest.mark.parametrize("name", DATA_MISTAKES)
def test_unfit_data_is_one_line_and_exit_3_before_any_training(
    name: str, tree: Path, tmp_path: Path, recipe: Path
) -> None:
    change, message = DATA_MISTAKES[name]
    root = failing(tree, tmp_path, change)
    done = metricface("run", recipe, "--set", f"data.root={root}", "--out", "run")
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.exit_code == 3, done.output
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in done.output
    assert not Path("run").exists()


def start(recipe: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "metricface", "run", str(recipe), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_ctrl_c_saves_a_checkpoint_and_resume_ends_like_an_uninterrupted_run(recipe: Path, tmp_path: Path) -> None:
    longer = ("--set", "train.epochs=8")
    assert metricface("run", recipe, *longer, "--out", "whole").exit_code == 0
    process = start(recipe, *longer)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("runs/tiny/*/metrics.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    (folder,) = tmp_path.glob("runs/tiny/*")
    assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"
    assert (folder / "checkpoints" / "last.pt").exists()
    assert stderr.splitlines()[-1] == (
        f"error: interrupted; the checkpoint is {folder.relative_to(tmp_path)}/checkpoints/last.pt. Go on: metricface "
        f"run {folder.relative_to(tmp_path)}/recipe.toml --out {folder.relative_to(tmp_path)} --resume"
    )
    done = metricface(*stderr.splitlines()[-1].partition("Go on: metricface ")[2].split())
    assert done.exit_code == 0, done.output
    assert (folder / "metrics.jsonl").read_text() == Path("whole/metrics.jsonl").read_text()
    reports = [json.loads((path / "report.json").read_text())["results"] for path in (folder, Path("whole"))]
    assert reports[0] == reports[1]


def test_resume_shows_a_finished_run_and_begins_none(recipe: Path) -> None:
    done = metricface("run", recipe, "--resume")
    assert (done.exit_code, done.stderr) == (
        2,
        "error: --resume: no unfinished run of this recipe with these values under runs/tiny. "
        "Leave out --resume to begin a new run.\n",
    )
    assert not Path("runs").exists()
    assert metricface("run", recipe, "--set", "train.epochs=1").exit_code == 0
    (folder,) = Path("runs/tiny").iterdir()
    done = metricface("run", recipe, "--set", "train.epochs=1", "--resume")
    assert (done.exit_code, done.stderr) == (0, f"finished already in {folder}\n")
    done = metricface("run", recipe, "--resume")
    said = f"The nearest of that name: {folder} (finished) differs in train.epochs (there 1, here 2). Go on with one"
    assert (done.exit_code, said in done.stderr) == (2, True)


def test_a_folder_with_nothing_but_lock_and_checkpoints_goes_on_to_the_same_end(recipe: Path) -> None:
    assert metricface("run", recipe, "--out", "whole").exit_code == 0
    assert metricface("run", recipe, "--out", "run", "--set", "train.epochs=2").exit_code == 0
    for path in Path("run").iterdir():
        if path.name not in ("run.lock", "checkpoints"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = metricface("run", recipe, "--out", "run", "--resume", "--set", "head.margin=0.1")
    assert (done.exit_code, "run: holds the run of another recipe" in done.stderr) == (2, True)
    done = metricface("run", recipe, "--out", "run", "--resume")
    assert done.exit_code == 0, done.output
    models = [(Path(folder) / "model" / "model.safetensors").read_bytes() for folder in ("run", "whole")]
    assert models[0] == models[1]


def test_resume_without_a_checkpoint_starts_anew(recipe: Path) -> None:
    assert metricface("run", recipe, "--out", "run").exit_code == 0
    Path("run/checkpoints/last.pt").unlink()
    Path("run/run.json").write_text(Path("run/run.json").read_text().replace('"finished"', '"interrupted"', 1))
    before = Path("run/metrics.jsonl").read_text()
    assert metricface("run", recipe, "--out", "run", "--resume").exit_code == 0
    assert Path("run/metrics.jsonl").read_text() == before


def test_two_runs_cannot_share_a_folder(recipe: Path) -> None:
    process = start(recipe, "--set", "train.epochs=500", "--out", "run")
    deadline = time.monotonic() + 60
    while not Path("run/metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    done = metricface("run", recipe, "--set", "train.epochs=500", "--out", "run", "--resume")
    process.terminate()
    said = process.communicate(timeout=60)[1]
    assert (process.returncode, "Traceback" in said) == (143, False), said
    assert done.exit_code == 2
    assert "another metricface is running there" in done.stderr


@pytest.mark.usefixtures("recipe")
def test_a_recipe_without_evaluators_trains(tree: Path, tmp_path: Path) -> None:
    plain = write_recipe(tmp_path, tree, RECIPE[: RECIPE.index("[[evaluate]]")])
    done = metricface("run", plain, "--out", "run")
    assert done.exit_code == 0, done.output
    done = metricface("eval", "run")
    assert (done.exit_code, "had no [[evaluate]]" in done.stderr) == (1, True)


NAN = '''
class Sudden:
    """NaN, as a division by a distance of zero makes it."""

    consumes = "embeddings"
    uses_pairs = False

    def __call__(self, given):
        return given.embeddings.sum() * float("nan")
'''


def test_a_loss_of_another_package_that_is_nan_is_named_with_the_photos_and_how_to_check_it(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installing(monkeypatch, tmp_path / "site")
    points = {"metricface.losses": {"sudden": "mf_sudden:Sudden"}}
    install(tmp_path / "site", "mf-sudden", {"mf_sudden": NAN}, points)
    recipe = write_recipe(tmp_path, tree, RECIPE + '\n[[loss]]\nname = "sudden"\n')
    done = metricface("run", recipe, "--out", tmp_path / "run")
    assert done.exit_code == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith(
        "error: step 0: loss 'sudden' is nan, nothing was updated. Check the components of other packages: metricface "
        "plugin check loss sudden. Lower optimizer.lr, or look at the photos of the batch: "
    )
    photos = line.partition("the photos of the batch: ")[2].rstrip(".").split(" and ")[0].split(", ")
    assert len(photos) == 8
    assert all(Path(photo).is_file() and Path(photo).is_relative_to(tree / "train") for photo in photos)
    assert "Traceback" not in done.output


def test_a_model_whose_weights_hold_nan_is_refused_when_it_is_read(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished / "model", tmp_path / "model")
    file, description = folder / "model.safetensors", folder / "model.json"
    before, weights = hashlib.sha256(file.read_bytes()).hexdigest(), load_file(file)
    name = next(name for name in weights if name.endswith("conv1.weight"))
    weights[name].view(-1)[3] = float("nan")
    save_file(weights, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    description.write_text(without_digest(description.read_text()).replace(before, digest))
    done = metricface("eval", folder)
    assert done.exit_code == 1
    assert done.stderr == (
        f"error: {folder}: model.safetensors has NaN in {name!r} (1 of {weights[name].numel():,} numbers), from "
        "training that went wrong. Take another model, or train it anew.\n"
    )
