"""Model folders that are damaged, foreign, older or newer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.task_a_tree import RECIPE, make_tree, write_recipe
from typer.testing import CliRunner

from metricface.build.model_folder import load_model
from metricface.cli.app import app
from metricface.components.registry import installed_registries
from metricface.errors import ModelError
from metricface.model.description import Description
from metricface.model.embedding_layer import EmbeddingLayer

KNOWN = installed_registries()
GONE = object()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    recipe = write_recipe(folder, make_tree(folder / "tree"), RECIPE.replace("drawn-bce", "bce"))
    done = CliRunner().invoke(app, ["run", str(recipe), "--set", "train.epochs=1", "--out", str(folder / "run")])
    assert done.exit_code == 0, done.output
    return folder / "run" / "model"


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "model"))


def change(model: Path, key: str, value: Any) -> None:
    """Set a key of model.json, or delete it."""
    document = json.loads((model / "model.json").read_text())
    *parts, last = [int(part) if part.isdigit() else part for part in key.split(".")]
    target = document
    for part in parts:
        target = target[part]
    if value is GONE:
        del target[last]
    else:
        target[last] = value
    (model / "model.json").write_text(json.dumps(document))


DAMAGES = [
    ("data", GONE, "data is missing"),
    ("labels", None, "labels should be a valid array"),
    ("labels.0", 3, "labels.0 should be a valid string"),
    ("backbone.arguments", None, "backbone.arguments should be an object"),
    ("backbone", "timm", "backbone should be an object"),
    ("embedding_dim", "16", "embedding_dim should be a valid integer"),
    ("embedding", GONE, "embedding is missing"),
    ("embedding", {"dim": 0}, "embedding.dim should be greater than 0"),
    ("embedding", {"dim": 8, "mirror": "yes"}, "embedding.mirror should be a valid boolean"),
    ("embedding", "8", "embedding should be an object"),
    ("embedding", {"mirror": True}, "embedding.dim is missing"),
    ("embedding", {"dim": 8, "zoom": 0.1}, "embedding.zoom should be greater than or equal to 0.2"),
    ("embedding", {"dim": 8, "whitening": 1}, "embedding.whitening should be less than or equal to 0.99"),
    ("zoom", 0.1, "zoom should be greater than or equal to 0.2"),
    ("transform.std.1", 0, "transform.std.1 should be greater than or equal to 0.001"),
    ("transform.mean", [0.5], "transform.mean.1 is missing"),
    ("transform.crop", 2, "transform.crop should be less than or equal to 1"),
    ("transform.colour", "BGR", "transform.colour should be 'RGB'"),
    ("transform.resize", "letterbox", "transform.resize should be 'square, aspect not kept'"),
    ("transform.image_size", 0, "transform.image_size should be greater than or equal to 1"),
    ("evaluate.0.name", GONE, "evaluate.0.name is missing"),
    ("head.class_counts", "many", "head.class_counts should be a valid array"),
    ("operating_points", [], "operating_points should be an object"),
    (
        "operating_points.classification",
        [{"rule": "r", "fitted_on": "f"}],
        "operating_points.classification.0.threshold is missing",
    ),
    (
        "operating_points.classification.0.temperature",
        "hot",
        "operating_points.classification.0.temperature should be a valid number",
    ),
    ("format", "1", "format should be a valid integer"),
    ("sha256", None, "sha256 should be a valid string"),
]


@pytest.mark.parametrize(("key", "value", "message"), DAMAGES)
def test_a_damaged_description_is_refused_by_the_name_of_its_key(
    key: str, value: Any, message: str, model: Path
) -> None:
    change(model, key, value)
    with pytest.raises(ModelError) as caught:
        load_model(model, KNOWN)
    assert str(caught.value) == f"{model}: not a readable model (model.json: {message}). Train or copy it again."


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "\xff"])
def test_what_is_no_description_at_all_is_refused(text: str, model: Path) -> None:
    (model / "model.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=r": not a readable model \(model\.json: \S.*\)\. Train or copy it again\.$"):
        load_model(model, KNOWN)


def test_eval_of_a_damaged_model_is_one_line(model: Path) -> None:
    change(model, "data", GONE)
    done = CliRunner().invoke(app, ["eval", str(model)])
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"error: {model}: not a readable model")


def test_format_3_is_written_and_1_is_read(model: Path) -> None:
    assert json.loads((model / "model.json").read_text())["format"] == 3
    change(model, "description_sha256", GONE)
    change(model, "format", 1)
    change(model, "embedding_dim", None)
    for key in (
        "transform.crop",
        "transform.resize",
        "transform.colour",
        "embedding",
        "head",
        "operating_points",
        "calibration",
    ):
        change(model, key, GONE)
    loaded = load_model(model, KNOWN)
    assert (loaded.preprocessing.crop, loaded.model.layer) == (1, None)
    assert (loaded.head, loaded.operating_points, loaded.description.calibration) == (None, {}, None)


def test_the_embedding_layer_of_earlier_formats_is_read(model: Path) -> None:
    document = json.loads((model / "model.json").read_text())
    assert document.pop("embedding") is None
    new, old = {"dim": 8, "mirror": True, "zoom": 0.5}, {"embedding_dim": 8, "mirror": True, "zoom": 0.5}
    for layer in ({"embedding": new, "format": 2}, {**old, "format": 1}):
        found = Description.model_validate_json(json.dumps({**document, **layer})).layer
        assert found == EmbeddingLayer(dim=8, projection=False, whitening=0, mirror=True, zoom=0.5)


def test_a_newer_format_is_refused_whatever_else_it_holds(model: Path) -> None:
    change(model, "labels", None)
    change(model, "format", 4)
    with pytest.raises(ModelError) as caught:
        load_model(model, KNOWN)
    assert str(caught.value) == f"{model}: model format 4, this MetricFace reads 1 to 3. Update metricface."
