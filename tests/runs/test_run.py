"""Recipes that stop early, freeze, scale and fine-tune, run as a whole on a tiny tree."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from safetensors.torch import load_file
from support import task_a_tree
from support.task_b_tree import make_tree, write_recipe

from metricface.build.experiment import Experiment, build_experiment
from metricface.components.registry import installed_registries
from metricface.contracts import Result
from metricface.deploy.evaluate import evaluate_model
from metricface.errors import Interrupted, ModelError, RecipeError
from metricface.recipe.load import load_recipe
from metricface.runs.read import read_run
from metricface.runs.run import Finished, run
from metricface.runs.seeds import run_seeds
from metricface.training.checkpoint import read_checkpoint
from metricface.training.state import StepDone

KNOWN = installed_registries()
SELECT = "train.select=identification.cross-source.rank1"


class Notes:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: None


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    return write_recipe(folder, make_tree(folder / "tree"))


def train(recipe: Path, out: Path, *overrides: str, notes: Notes | None = None, **options: Any) -> Finished:
    return run(load_recipe(recipe, overrides, KNOWN), KNOWN, notes or Notes(), out=out, **options)


def built(recipe: Path, *overrides: str) -> Experiment:
    return build_experiment(load_recipe(recipe, overrides, KNOWN), KNOWN, Notes())


def ctrl_c(step: int) -> Callable[[Any], None]:
    def observe(event: Any) -> None:
        if isinstance(event, StepDone) and event.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return observe


@pytest.fixture(scope="module")
def finished(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(recipe, tmp_path_factory.mktemp("finished") / "run").folder


def test_a_resumed_run_with_ema_decay_and_frozen_stages_equals_an_uninterrupted_one(
    recipe: Path, tmp_path: Path
) -> None:
    keys = ("train.ema=0.9", "train.layer_decay=0.5", "train.backbone_lr=0.3", "train.frozen_stages=2")
    train(recipe, tmp_path / "whole", *keys)
    with pytest.raises(Interrupted):
        train(recipe, tmp_path / "cut", *keys, observers=(ctrl_c(3),))
    train(recipe, tmp_path / "cut", *keys, resume=True)
    whole, cut = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    journals = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "cut")]
    assert journals[0] == journals[1]
    reports = [json.loads((tmp_path / name / "report.json").read_text())["results"] for name in ("whole", "cut")]
    assert reports[0] == reports[1]
    start = built(recipe, *keys)
    stages = start.state.model.backbone.parameter_stages()
    for number, stage in enumerate(stages):
        for name in stage:
            same = torch.equal(whole[f"backbone.{name}"], start.state.model.backbone.get_parameter(name))
            assert same == (number < 2), name
    scales = [group.get("lr_scale") for group in start.state.optimizer.param_groups]
    assert set(scales) == {0.3 * 0.5**depth for depth in range(len(stages) - 2)} | {None}
    sizes = [sum(whole[f"backbone.{name}"].numel() for name in stage) for stage in stages]
    told = f"{sum(sizes[2:]):,} of its {sum(sizes):,} parameters are trained"
    assert f"frozen: the first 2 stages of the backbone; {told}" in start.notices


def test_a_run_of_before_there_was_a_key_is_gone_on_with_and_counts_as_finished(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(recipe, tmp_path / "seed-0", observers=(ctrl_c(3),))
    tables = tomllib.loads((tmp_path / "seed-0" / "recipe.toml").read_text())
    del tables["train"]["patience"]
    (tmp_path / "seed-0" / "recipe.toml").write_text(tomli_w.dumps(tables))
    digest = hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()
    record = json.loads((tmp_path / "seed-0" / "run.json").read_text())
    assert digest != record["recipe_digest"]
    (tmp_path / "seed-0" / "run.json").write_text(json.dumps({**record, "recipe_digest": digest}))
    last = tmp_path / "seed-0" / "checkpoints" / "last.pt"
    torch.save({**torch.load(last, weights_only=True), "recipe_digest": digest}, last)

    report = train(recipe, tmp_path / "seed-0", resume=True).report
    whole = train(recipe, tmp_path / "whole").report
    assert report["results"] == whole["results"]
    journals = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "seed-0")]
    assert journals[0] == journals[1]
    assert report["recipe_digest"] == torch.load(last, weights_only=True)["recipe_digest"] == digest
    notes = Notes()
    run_seeds([load_recipe(recipe, (), KNOWN)], KNOWN, notes, out=tmp_path)
    assert notes.said == [f"seed 0 (1 of 1): finished already in {tmp_path / 'seed-0'}"]


def flatten(path: Path) -> None:
    """Put a report, or a journal's evaluations, into the form of runs made before results were explicit."""
    texts = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    documents = [json.loads(text) for text in texts]
    for document in documents:
        for name, result in document.get("results", {}).items():
            document["results"][name] = Result.from_json(result).short()
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))


def test_a_run_whose_results_are_flattened_is_gone_on_with_shown_and_summed_up(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(recipe, tmp_path / "seed-0", observers=(ctrl_c(6),))  # in the second epoch: the first is evaluated
    flatten(tmp_path / "seed-0" / "metrics.jsonl")
    assert read_run(tmp_path / "seed-0").results["identification"].metric("same-source.rank1") >= 0
    done = train(recipe, tmp_path / "seed-0", resume=True)
    events = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    forms = ["schema" in event["results"]["identification"] for event in events if event["event"] == "evaluated"]
    assert forms == [False, True]
    assert (done.folder / "metrics.png").exists()
    flatten(done.folder / "report.json")
    assert read_run(done.folder).status == "finished"
    notes = Notes()
    recipes = [load_recipe(recipe, [f"run.seed={seed}"], KNOWN) for seed in (0, 1)]
    document = run_seeds(recipes, KNOWN, notes, out=tmp_path)
    assert f"seed 0 (1 of 2): finished already in {done.folder}" in notes.said
    rank1 = Result.from_json(document["results"]["identification"]).figure("same-source.rank1")
    both = [read_run(tmp_path / f"seed-{seed}").results["identification"] for seed in (0, 1)]
    assert rank1.spread.values == tuple(result.metric("same-source.rank1") for result in both)


def test_an_early_stop_is_reported_and_the_same_after_an_interruption(recipe: Path, tmp_path: Path) -> None:
    keys = ("train.epochs=30", "train.patience=2", SELECT, "optimizer.lr=1e-5")  # too slow to get better for long
    notes = Notes()
    report = train(recipe, tmp_path / "whole", *keys, notes=notes).report
    record = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    ran = sum(line["event"] == "evaluated" for line in record)
    assert ran < 30
    best = report["model"]["epoch"]
    assert ran == best + 2
    assert report["training"].startswith(
        f"stopped early after epoch {ran} of 30: 2 evaluations without a better identification.cross-source.rank1 than"
    )
    assert report["training"].endswith(f" of epoch {best}")
    assert report["training"] in notes.said
    assert f"- training: stopped early after epoch {ran} of 30" in (tmp_path / "whole" / "report.md").read_text()
    with pytest.raises(Interrupted):
        train(recipe, tmp_path / "cut", *keys, observers=(ctrl_c(record[-2]["step"] - 1),))
    assert train(recipe, tmp_path / "cut", *keys, resume=True).report["training"] == report["training"]
    assert (tmp_path / "cut" / "metrics.jsonl").read_text() == (tmp_path / "whole" / "metrics.jsonl").read_text()


def test_a_run_to_the_end_says_so(finished: Path) -> None:
    assert json.loads((finished / "report.json").read_text())["training"] == "2 of 2 epochs"


def test_the_averaged_head_is_what_is_judged_and_shipped(tmp_path: Path) -> None:
    recipe = task_a_tree.write_recipe(tmp_path, task_a_tree.make_tree(tmp_path / "tree"))
    done = train(recipe, tmp_path / "run", "train.ema=0.9")
    parts = read_checkpoint(done.folder / "checkpoints" / "last.pt", done.report["recipe_digest"])["parts"]
    shipped = load_file(done.folder / "model" / "head.safetensors")
    for name, value in shipped.items():
        assert torch.equal(value, parts["average"][f"module.1.{name}"])
        assert not torch.equal(value, parts["head"][name])
    results, _ = evaluate_model(done.folder, None, KNOWN, Notes())
    assert results["classification"].to_json() == done.report["results"]["classification"]


def test_the_last_epoch_is_evaluated_once(recipe: Path, tmp_path: Path) -> None:
    seen: list[str] = []

    class Watched(Notes):
        def progress(self, what: str) -> Callable[[int, int], None]:
            seen.append(what)
            return super().progress(what)

    done = train(recipe, tmp_path / "run", notes=Watched())
    assert seen.count("evaluating") == 2
    events = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    assert events[-1]["results"] == done.report["results"]
    assert done.results["identification"].to_json() == events[-1]["results"]["identification"]


def test_an_earlier_best_epoch_is_evaluated_anew_for_the_report(recipe: Path, tmp_path: Path) -> None:
    keys = ("train.epochs=4", "train.patience=2", SELECT, "optimizer.lr=1e-5")
    done = train(recipe, tmp_path / "run", *keys)
    evaluated = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    results = {event["epoch"]: event["results"] for event in evaluated if event["event"] == "evaluated"}
    chosen = done.report["model"]["epoch"] - 1
    assert chosen < max(results)
    assert done.report["results"] == results[chosen]


def test_fine_tuning_starts_from_backbone_and_embedding_layer_of_a_run(recipe: Path, finished: Path) -> None:
    keys = (f"backbone.weights={finished}", f"embedding.weights={finished / 'model'}")
    experiment = built(recipe, *keys)
    theirs = load_file(finished / "model" / "model.safetensors")
    assert all(torch.equal(value, theirs[name]) for name, value in experiment.state.model.state_dict().items())
    sha = json.loads((finished / "model" / "model.json").read_text())["sha256"][:12]
    assert experiment.notices[:2] == (
        f"weights: {finished} (fine-tuned from model {sha} of backbone timm)",
        f"embedding weights: {finished / 'model'} (fine-tuned from model {sha} of backbone timm)",
    )


def test_a_fine_tuned_model_needs_the_first_one_no_more(recipe: Path, finished: Path, tmp_path: Path) -> None:
    from metricface.build.model_folder import load_model

    first = finished.rename(finished.with_name("moved"))
    folder = train(recipe, tmp_path / "second", f"backbone.weights={first}", "train.epochs=1").folder
    first.rename(finished)
    assert load_model(folder, KNOWN).model.embedding_dim == 16


def test_an_embedding_layer_of_another_size_is_refused(recipe: Path, finished: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        built(recipe, f"embedding.weights={finished}", "embedding.dim=8")
    assert str(caught.value) == (
        f"embedding.weights: the layer of this recipe does not fit {finished}, which has one of 96 features to 16. "
        "Set embedding.dim and backbone.model to its own, or take embedding.weights out."
    )
    with pytest.raises(ModelError, match=r"^embedding\.weights: .*: no model here"):
        built(recipe, f"embedding.weights={tmp_path}")


def test_what_cannot_be_trained_is_refused_before_training(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"^train\.frozen_stages: the backbone has 5 stages \(got 9\)\. Take 0 to 5;"):
        built(recipe, "train.frozen_stages=9")
    text = recipe.read_text()
    for section in ("embedding", "head"):
        text = text.replace(text[text.index(f"[{section}]") : text.index("[", text.index(f"[{section}]") + 1)], "")
    text = text.replace('[[loss]]\nname = "cross-entropy"\n', "")
    path = tmp_path / "contrastive.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"^train\.frozen_stages: nothing is left to train \(got 5\)\. Freeze fewer"):
        built(path, "train.frozen_stages=5")
