"""A plugin that fails in use: one line that names it, its package, file and line, and how to check it; exit code 4."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.installed import install, installing
from support.task_b_tree import make_tree, write_recipe
from typer.testing import CliRunner, Result

from metricface.cli.app import app

HEAD = "import torch\nfrom metricface.contracts import *\n"
LOSS = """class Bad:
    consumes = "embeddings"
    uses_pairs = True
    def __init__(self) -> None: ...
    def __call__(self, given):
        {}
"""
BACKBONE = """class Bad(torch.nn.Module):
    feature_dim = 3
    input_spec = InputSpec((0.5,) * 3, (0.5,) * 3, 32)
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(3))
    def forward(self, images):
        return {}
"""
CALLED = "class Bad:\n    def __init__(self) -> None: ...\n    def __call__(self, *given):\n        {}\n"
SAMPLER = """class Bad:
    def __init__(self, *, labels: object) -> None: ...
    def __len__(self): return 1
    def batches(self, epoch):
        {}
"""
EVALUATOR = """class Bad:
    needs = frozenset({{"embeddings"}})
    metrics = ()
    def __init__(self) -> None: ...
    def check(self, dataset): ...
    def __call__(self, subject):
        {}
"""
IN_RECIPE = {
    "loss": ('name = "contrastive"\nweight = 0.5', 'name = "bad"'),
    "head": ('name = "arcface"\nscale = 16.0\nmargin = 0.2', 'name = "bad"'),
    "backbone": ('name = "timm"\nmodel = "test_resnet"\nweights = "random"', 'name = "bad"'),
    "transform": ('name = "horizontal-flip"', 'name = "bad"'),
    "miner": ("[sampler]", '[miner]\nname = "bad"\n\n[sampler]'),
    "sampler": ('name = "cross-condition"\nviews = 4', 'name = "bad"'),
    "evaluator": ('name = "identification"\nbootstrap_samples = 50', 'name = "bad"'),
}
FAULTS = {
    "raises": ("loss", LOSS, "raise KeyError('margin')", "KeyError: 'margin', at"),
    "leaves": ("loss", LOSS, "raise SystemExit(0)", "SystemExit: 0, at"),
    "below torch": (
        "loss",
        LOSS,
        "return torch.nn.functional.linear(given.embeddings, torch.ones(3, 5)).sum()",
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (16x16 and 5x3), at",
    ),
    "a number": ("loss", LOSS, "return 1.0", "Bad returned float, not a scalar tensor of floats"),
    "a vector": (
        "loss",
        LOSS,
        "return given.embeddings.sum(dim=1)",
        "returned Tensor of shape (16,), torch.float32",
    ),
    "head raises": ("head", CALLED, "raise ValueError('two\\nlines')", "ValueError: two lines, at"),
    "no output": (
        "head",
        CALLED,
        "return given[0]",
        "Tensor of shape (16, 16), torch.float32, not a HeadOutput",
    ),
    "no targets": (
        "head",
        CALLED,
        "return HeadOutput(given[0])",
        "targets that are NoneType, not int64 of",
    ),
    "features": (
        "backbone",
        BACKBONE,
        "images",
        "Tensor of shape (16, 3, 32, 32), torch.float32, not features of",
    ),
    "sampler raises": ("sampler", SAMPLER, "raise IndexError(3)", "IndexError: 3, at"),
    "texts": (
        "sampler",
        SAMPLER,
        "yield ['0', '1']",
        "gave a batch that is list (['0', '1']), not a list of ints below 45",
    ),
    "beyond": (
        "sampler",
        SAMPLER,
        "yield [44, 45]",
        "gave a batch that is list ([44, 45]), not a list of ints below 45",
    ),
    "transform raises": ("transform", CALLED, "raise ZeroDivisionError('no')", "ZeroDivisionError: no, at"),
    "no view": ("transform", CALLED, "return given[0].image", "uint8, not a View"),
    "floats": (
        "transform",
        CALLED,
        "return View(given[0].image / 255, given[0].condition, given[0].severity)",
        "returned an image that is ndarray of shape (32, 32, 3), float64, not uint8 of shape (32, 32, 3)",
    ),
    "miner raises": ("miner", CALLED, "raise RuntimeError('none left')", "RuntimeError: none left, at"),
    "no pairs": ("miner", CALLED, "return (given[1],)", "Bad returned tuple, not a tuple of 3 or 4 index tensors"),
    "evaluator raises": ("evaluator", EVALUATOR, "raise ValueError('too few')", "ValueError: too few, at"),
}


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("tree"))


def faulty(folder: Path, tree: Path, monkeypatch: pytest.MonkeyPatch, kind: str, body: str, module: str) -> Path:
    """Install a package with one component of a kind; return a recipe that uses it."""
    plural = {"loss": "losses"}.get(kind, f"{kind}s")
    install(folder / "site", "mf-bad", {module: HEAD + body}, {f"metricface.{plural}": {"bad": f"{module}:Bad"}})
    installing(monkeypatch, folder / "site")
    recipe = write_recipe(folder, tree)
    text = recipe.read_text()
    assert IN_RECIPE[kind][0] in text
    recipe.write_text(text.replace(*IN_RECIPE[kind]))
    return recipe


@pytest.mark.parametrize("fault", FAULTS)
def test_the_line_names_the_component_its_package_and_its_place(
    fault: str, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, source, body, said = FAULTS[fault]
    module = f"in_use_{fault.replace(' ', '_')}"
    recipe = faulty(tmp_path, tree, monkeypatch, kind, source.format(body), module)
    done = metricface("run", recipe, "--out", tmp_path / "run")
    assert done.exit_code == 4, done.output
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: {kind} 'bad' of mf-bad 1.0: ")
    assert said in line
    assert f", at {tmp_path}/site/{module}.py:" in line
    assert f". Check it: metricface plugin check {kind} bad." in line
    assert "Traceback" not in done.output
    raised = next((number for number, text in enumerate((HEAD + source).splitlines(), 1) if "{}" in text), 0)
    if said.endswith(", at"):
        assert f"{module}.py:{raised}." in line


def test_a_transform_in_a_process_of_the_loader_is_named_as_well(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = CALLED.format("raise ZeroDivisionError('no')")
    recipe = faulty(tmp_path, tree, monkeypatch, "transform", source, "in_use_far")
    done = metricface("run", recipe, "--out", tmp_path / "run", "--set", "train.workers=1")
    assert done.exit_code == 4, done.output
    assert f"transform 'bad' of mf-bad 1.0: ZeroDivisionError: no, at {tmp_path}/site/in_use_far.py:6." in done.stderr


def test_a_component_that_a_module_only_imports_is_not_blamed(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package's loss fails; its head, of the same module, was not asked for."""
    module = "in_use_beside"
    body = LOSS.format("raise KeyError('margin')") + "class Head(Bad): ...\n"
    points = {"metricface.losses": {"bad": f"{module}:Bad"}, "metricface.heads": {"other": f"{module}:Head"}}
    install(tmp_path / "site", "mf-bad", {module: HEAD + body}, points)
    installing(monkeypatch, tmp_path / "site")
    recipe = write_recipe(tmp_path, tree)
    recipe.write_text(recipe.read_text().replace(*IN_RECIPE["loss"]))
    done = metricface("run", recipe, "--out", tmp_path / "run")
    assert done.exit_code == 4, done.output
    assert "error: loss 'bad' of mf-bad 1.0: KeyError: 'margin', at" in done.stderr
    assert "other" not in done.stderr.splitlines()[-1]


def test_an_evaluator_that_fails_after_training_costs_no_training(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = faulty(tmp_path, tree, monkeypatch, "evaluator", EVALUATOR.format("raise ValueError"), "in_use_late")
    out = tmp_path / "run"
    done = metricface("run", recipe, "--out", out, "--set", "train.epochs=1")
    assert done.exit_code == 4, done.output
    assert (out / "checkpoints/last.pt").exists()
    assert f"Then go on: metricface run {out}/recipe.toml --out {out} --resume" in done.stderr
    assert json.loads((out / "run.json").read_text())["status"] == "failed"


def test_debug_shows_the_traceback(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = faulty(tmp_path, tree, monkeypatch, "loss", LOSS.format("raise KeyError('margin')"), "in_use_shown")
    done = metricface("--debug", "run", recipe, "--out", tmp_path / "run")
    assert done.exit_code == 4, done.output
    assert "Traceback" in done.stderr
    assert "KeyError: 'margin'" in done.stderr


def test_a_fault_of_ours_is_not_put_on_a_plugin(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("ours")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("metricface.training.trainer.train_step", broken)
    monkeypatch.setattr("metricface.build.blame._loaded", lambda _: iter(()))
    done = metricface("run", write_recipe(tmp_path, tree), "--out", tmp_path / "run")
    assert isinstance(done.exception, ValueError)
