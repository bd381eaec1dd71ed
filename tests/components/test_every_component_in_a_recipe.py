"""Every component of this package trains and is evaluated once in a recipe, whatever is registered.

A component is put into tiny recipes of both tasks; one that it does not go with may refuse it (a RecipeError or
DataError), and one must be left. A component that is added is tested here without a change to this file, unless it
needs a parameter that has no default: then SETTINGS says what to give it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from support import task_a_tree, task_b_tree
from support.layouts import write_rows

from metricface.build.experiment import Experiment, build_experiment
from metricface.components.registry import installed_registries
from metricface.contracts import KINDS, Silent
from metricface.contracts.results import Result
from metricface.errors import DataError, RecipeError
from metricface.recipe.load import load_recipe
from metricface.recipe.schema import Recipe
from metricface.recipe.signature import arguments_model
from metricface.training.step import train_step

KNOWN = installed_registries()
COMPONENTS = [
    (kind, entry.name)
    for kind, registry in KNOWN.items()
    for entry in registry.entries()
    if kind != "tracker"  # those need extras, and have tests of their own
    and entry.distribution == "metricface"
    and (KINDS[kind].section is not None or kind == "distortion")
    and kind != "tracker"  # those need extras
]
SETTINGS = {
    "lr": 1e-3,
    "classes": ["male", "female"],
    "model": "test_resnet",
    "depth": 18,
    "weights": "random",
    "manifest": "",
    "loss": "MultiSimilarityLoss",
    "miner": "MultiSimilarityMiner",
}
OF_ONE = {
    ("evaluator", "index-bench"): {"indexes": [{"name": "exact"}], "seconds": 0.01},
    ("backbone", "torchvision"): {"model": "shufflenet_v2_x0_5"},
    ("transform", "albumentations"): {"transform": "ElasticTransform"},
    ("transform", "torchvision"): {"transform": "RandAugment"},
}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The tiny recipes of both tasks as tables; beside each tree lies a manifest of it."""
    tables = []
    for tiny, column in ((task_b_tree, "identity"), (task_a_tree, "label")):
        folder = tmp_path_factory.mktemp("tree")
        root = tiny.make_tree(folder / "tree")
        photos = sorted(root.glob("*/*/*.png"))
        rows = [(path.relative_to(root).as_posix(), path.parts[-3], path.parts[-2]) for path in photos]
        write_rows(folder / "photos.csv", [("path", "split", column), *rows])
        tables.append(tomllib.loads(tiny.RECIPE.format(root=root.as_posix())))
    return tables


def with_component(base: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    """Return a recipe's table with the component in it."""
    manifest = Path(base["data"]["root"]).parent / "photos.csv"
    model = arguments_model(KNOWN[kind].load(f"metricface:{name}"), KINDS[kind])
    settings = {**SETTINGS, **OF_ONE.get((kind, name), {})}
    given = {key: value for key, value in settings.items() if key in model.model_fields}
    part = {"name": name, **given, **({"manifest": manifest.as_posix()} if "manifest" in given else {})}
    table: dict[str, Any] = {**base}
    if kind == "distortion":
        table["transform"] = [{"name": "random-distortion", "probability": 1.0, "distortions": [name]}]
    elif kind == "dataset":
        table["data"] = {**part, "root": base["data"]["root"], "image_size": 32}
    elif kind == "evaluator":
        table["evaluate"] = [part]
    elif not KINDS[kind].repeats:
        table[kind] = part
    elif name not in [there["name"] for there in base.get(kind, ())]:
        table[kind] = [*base.get(kind, ()), part]
    return table


def built(bases: list[dict[str, Any]], kind: str, name: str, folder: Path) -> Iterator[Experiment]:
    """Yield the experiment of each recipe that the component goes with."""
    for base in bases:
        (folder / "r.toml").write_text(tomli_w.dumps(with_component(base, kind, name)))
        try:
            yield build_experiment(load_recipe(folder / "r.toml", (), KNOWN), KNOWN, Silent())
        except (RecipeError, DataError) as error:
            print(error)


def holds(recipe: Recipe, kind: str, name: str) -> bool:
    if kind == "distortion":
        return [part.arguments["distortions"] for part in recipe.transforms] == [[name]]
    return (kind, name) in {(part.kind, part.name) for part in recipe.components()}


@pytest.mark.parametrize(("kind", "name"), COMPONENTS, ids=[" ".join(component) for component in COMPONENTS])
def test_every_component_does_a_step_and_an_evaluation(
    kind: str, name: str, bases: list[dict[str, Any]], tmp_path: Path
) -> None:
    done = 0
    for experiment in built(bases, kind, name, tmp_path):
        assert holds(experiment.recipe, kind, name)
        batch = next(experiment.loader.epoch(0))
        try:
            step = train_step(experiment.state, batch)
        except RecipeError as error:  # a loss that wants other logits than this head's
            print(error)
            continue
        assert step.losses
        if kind == "distortion":
            assert name in {experiment.loader.condition_names[number] for number in batch.conditions}
        if kind in ("dataset", "evaluator"):  # the others change nothing in how photos are evaluated
            results = [evaluator(experiment.subject(experiment.val)) for evaluator in experiment.evaluators.values()]
            assert results
            assert all(isinstance(result, Result) and result.readings for result in results)
        done += 1
    assert done


def test_both_tiny_recipes_are_tried(bases: list[dict[str, Any]], tmp_path: Path) -> None:
    assert len(list(built(bases, "transform", "horizontal-flip", tmp_path))) == 2
    assert len(list(built(bases, "miner", "batch-hard", tmp_path))) == 1  # Task A's has no pair loss
