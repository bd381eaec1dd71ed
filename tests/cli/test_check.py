"""`metricface check` and `show` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import ROOT
from support.installed import install, installing
from support.task_b_tree import RECIPE, make_tree, write_recipe
from typer.testing import CliRunner, Result

from metricface import __version__
from metricface.cli.app import app


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_three_mistakes_are_listed_at_once_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = RECIPE.replace('"arcface"', '"arcfase"').replace("epochs", "epoch").replace("weight = 0.5", "weight = -1")
    Path("mine.toml").write_text(text)
    done = metricface("check", "mine.toml")
    assert done.exit_code == 2
    first, *lines = done.stderr.splitlines()
    assert first == "error: 4 problems"  # epochs is both unknown and missing
    assert [line[: len("mine.toml:")] for line in lines] == ["mine.toml:"] * 4
    assert "\nmine.toml:21  head.name  unknown head 'arcfase'. Did you mean \"arcface\"? There are: " in done.stderr
    assert 'train.epoch  unknown key. Did you mean "epochs"? Parameters: epochs, ' in done.stderr
    assert "loss.contrastive.weight  must be a number of at least 0 (got -1)" in done.stderr
    assert "Traceback" not in done.output


def test_an_angle_in_degrees_is_refused_with_its_value_in_radians(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, tmp_path)
    done = metricface("check", recipe, "--set", "head.margin=28.6")
    assert done.exit_code == 2
    assert done.stderr == (
        "error: --set head.margin=28.6  head.margin  must be less than or equal to 1.5707963267948966 (got 28.6). "
        "Angles are in radians: 28.6 degrees are 0.4992\n"
    )


NOTHING = """
[[loss]]
name = "pml"
loss = "ContrastiveLoss"
[loss.arguments]
distance = { name = "CosineSimilarity" }
"""


def test_a_loss_that_would_train_nothing_is_warned_of(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, tmp_path)
    recipe.write_text(recipe.read_text() + NOTHING)
    line = recipe.read_text().splitlines().index('name = "pml"')
    done = metricface("check", recipe)
    assert done.exit_code == 0
    assert (
        f"warning: {recipe}:{line}  loss.pml  ContrastiveLoss with the distance CosineSimilarity gives 0 without any "
        "gradient on a trial batch"
    ) in done.stderr
    recipe.write_text(recipe.read_text() + "pos_margin = 1.0\nneg_margin = 0.2\n")
    assert "ContrastiveLoss" not in metricface("check", recipe).stderr


def test_a_good_recipe_is_said_to_be_good(tmp_path: Path) -> None:
    done = metricface("check", write_recipe(tmp_path, tmp_path))
    assert done.exit_code == 0
    assert "good (10 components" in done.stdout


@pytest.mark.parametrize("recipe", sorted((ROOT / "experiments").glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_of_ours_is_good(recipe: Path) -> None:
    done = metricface("check", recipe)
    assert done.exit_code == 0, done.stderr


def test_show_gives_parameters_bounds_and_toml_to_paste() -> None:
    done = metricface("show", "head", "arcface")
    assert done.exit_code == 0
    assert "  margin: float = 0.5  (>= 0, <= 1.571)\n" in done.stdout
    assert done.stdout.endswith('[head]\nname = "arcface"\nscale = 64.0\nmargin = 0.5\n')
    assert f"ArcFace, metricface {__version__})\n{ROOT / 'metricface/components/heads/arcface.py'}\n\n" in done.stdout
    done = metricface("show", "head", "arcfac")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: show: unknown head 'arcfac'. Did you mean \"arcface\"? There are: ")


PML = """\
[[loss]]
name = "pml"
loss = "ContrastiveLoss"
memory_size = 64
memory_miner = { name = "PairMarginMiner", distance = { name = "CosineSimilarity" } }
[loss.arguments]
pos_margin = 1
neg_margin = 0.2
distance = { name = "CosineSimilarity" }

[[loss]]
name = "pml"
loss = "SubCenterArcFaceLoss"
[loss.arguments]
sub_centers = 2

[[loss]]
name = "pml"
loss = "TripletMarginLoss"

[miner]
name = "pml"
miner = "MultiSimilarityMiner"
"""


def test_losses_of_pytorch_metric_learning_are_used_by_name_and_shown(tmp_path: Path) -> None:
    text = RECIPE.replace('[[loss]]\nname = "contrastive"\nweight = 0.5\n', PML.replace("{", "{{").replace("}", "}}"))
    recipe = write_recipe(tmp_path, make_tree(tmp_path / "tree"), text)
    done = metricface("run", recipe, "--set", "train.epochs=1", "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    step = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert list(step["losses"]) == ["cross-entropy", "pml", "pml-2", "pml-3"]
    resolved = (tmp_path / "run" / "recipe.toml").read_text()
    assert '[loss.arguments.distance]\nname = "CosineSimilarity"\np = 2.0\npower = 1.0\n' in resolved
    assert metricface("check", tmp_path / "run" / "recipe.toml").exit_code == 0
    shown = metricface("show", "loss", "pml").stdout
    assert "\nloss, one of (each also takes " in shown
    assert "\n  AngularLoss: alpha = 40.0 (degrees)\n" in shown


LOSS = '''
import torch.nn.functional as F
from metricface.contracts import LossInput


class CosineGap:
    """Mean cosine between people minus mean cosine within people, of a batch."""

    consumes = "embeddings"

    def __init__(self, *, weight_between: float = 1.0) -> None:
        self.weight_between = weight_between

    def __call__(self, given: LossInput):
        unit = F.normalize(given.embeddings)
        cosine, same = unit @ unit.T, given.labels[:, None] == given.labels[None, :]
        return self.weight_between * cosine[~same].mean() - cosine[same].mean()
'''


def test_a_loss_of_a_package_is_used_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(
        tmp_path / "site",
        "metricface-cosine-gap",
        {"metricface_cosine_gap": LOSS},
        {"metricface.losses": {"cosine-gap": "metricface_cosine_gap:CosineGap"}},
        version="0.3",
    )
    installing(monkeypatch, tmp_path / "site")
    text = RECIPE.replace('name = "contrastive"', 'name = "cosine-gap"\nweight_between = 0.5')
    recipe = write_recipe(tmp_path, make_tree(tmp_path / "tree"), text)
    done = metricface("run", recipe, "--set", "train.epochs=1", "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    step = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert set(step["losses"]) == {"cross-entropy", "cosine-gap"}
    components = json.loads((tmp_path / "run" / "run.json").read_text())["components"]
    assert {
        "kind": "loss",
        "name": "cosine-gap",
        "distribution": "metricface-cosine-gap",
        "version": "0.3",
    } in components
