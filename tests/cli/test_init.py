"""`metricface init` on every layout: the recipe that it writes passes `check` and a dry run unedited."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.layouts import class_manifest, class_tree, hackathon, people_manifest
from support.task_b_tree import make_tree
from typer.testing import CliRunner, Result

from metricface.cli.app import app

LAYOUTS: dict[str, tuple[Callable[[Path], Path], tuple[str, ...], str, dict[str, int]]] = {
    "Task B tree": (make_tree, (), "identity-folder", {"train": 45, "val": 27}),
    "Task A tree": (class_tree, (), "class-folder", {"train": 12, "val": 12}),
    "the hackathon's, a": (hackathon, ("--task", "a"), "class-folder", {"train": 12, "val": 12}),
    "the hackathon's, b": (hackathon, ("--task", "b"), "identity-folder", {"train": 45, "val": 27}),
    "manifest of people": (people_manifest, (), "csv-manifest", {"train": 45, "val": 27}),
    "manifest of classes": (class_manifest, (), "csv-manifest", {"train": 12, "val": 12}),
    "three classes": (
        lambda root: class_tree(root, ("x", "y", "z")),
        ("--task", "a"),
        "class-folder",
        {"train": 18, "val": 18},
    ),
}
SMALL = ("backbone.model=test_resnet", "backbone.weights=random", "data.image_size=32", "train.device=cpu")


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_recipe_passes_check_and_a_dry_run_unedited(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, arguments, dataset, photos = LAYOUTS[name]
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    data = make(Path("mine"))
    done = metricface("init", "--data", data, *arguments)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == "recipe.toml: written. Next: metricface run recipe.toml --dry-run"
    text = Path("recipe.toml").read_text()
    assert f'name = "{dataset}"' in text
    assert "$" not in text.replace("_[0-9]+$", "")
    checked = metricface("check", "recipe.toml")
    assert (checked.exit_code, "recipe.toml: good" in checked.output) == (0, True), checked.output
    overrides = [word for key in SMALL for word in ("--set", key)]
    dry = metricface("run", "recipe.toml", "--dry-run", "--json", *overrides)
    assert dry.exit_code == 0, dry.output
    document = json.loads(dry.stdout)
    assert {split: document[split]["photos"] for split in photos} == photos


def test_a_manifest_can_be_found_in_its_folder(tmp_path: Path) -> None:
    file = people_manifest(tmp_path)
    done = metricface("init", "--data", tmp_path, "--out", tmp_path / "r.toml")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{file}: a CSV manifest\ntrain: 5 people; 45 photos (clean 15, ")


def test_rows_of_a_split_that_nobody_reads_are_told_by_init_and_by_a_run(tmp_path: Path) -> None:
    file = people_manifest(tmp_path)
    file.write_text(file.read_text() + "tree/val/person_5/photo_0.png,vla,person_5,,\n".replace("photo_0", "photo_9"))
    done = metricface("init", "--data", file, "--out", tmp_path / "r.toml")
    told = f'{file}: rows of splits that are not read: vla (1). Did you mean "val"?'
    assert told in done.stdout.splitlines()
    overrides = [word for key in SMALL for word in ("--set", key)]
    dry = metricface("run", tmp_path / "r.toml", "--dry-run", "--json", *overrides)
    assert dry.exit_code == 0, dry.output
    assert dry.stderr.splitlines().count(told) == 1


def test_a_recipe_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("mine")
    done = metricface("init", "--data", class_tree(tmp_path / "data"), "--out", tmp_path / "r.toml")
    assert done.exit_code == 2
    assert done.stderr == (
        f"error: {tmp_path / 'r.toml'}: is there already and stays as it is. Name another file: --out FILE\n"
    )
    assert (tmp_path / "r.toml").read_text() == "mine"


def test_photos_that_are_not_recognised_write_nothing_and_end_with_3(tmp_path: Path) -> None:
    done = metricface("init", "--data", tmp_path, "--out", tmp_path / "r.toml")
    assert (done.exit_code, done.stdout, list(tmp_path.iterdir())) == (3, "", [])
    assert done.stderr.startswith(f"error: {tmp_path}: not recognised (folders there: none; photos: 0). Looked for")


def test_an_undecided_task_ends_with_2(tmp_path: Path) -> None:
    done = metricface("init", "--data", hackathon(tmp_path / "Comys_Hackathon5"))
    assert done.exit_code == 2
    assert "holds Task_A (which class) and Task_B (who is it). Say which: --task a or --task b" in done.stderr
