"""One signature says what [embedding] and model.json may hold; both ask it."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from support.task_b_tree import RECIPE

from metricface.errors import RecipeError
from metricface.model.description import Description
from metricface.model.embedding_layer import EmbeddingLayer, EmbeddingSection
from metricface.recipe.load import load_recipe

STORED = {
    "format": 3,
    "sha256": "",
    "backbone": {"name": "timm", "arguments": {}},
    "transform": {"image_size": 32, "mean": [0.5] * 3, "std": [0.5] * 3},
    "labels": [],
    "evaluate": [],
    "data": {"name": "identity-folder", "arguments": {}, "root": ""},
}
BOUNDS = [("dim", 1, None), ("whitening", 0, 0.99), ("zoom", 0.2, 1)]


def from_recipe(tmp_path: Path, table: dict[str, Any]) -> EmbeddingLayer:
    (tmp_path / "r.toml").write_text(RECIPE.replace("{root}", str(tmp_path)))
    recipe = load_recipe(tmp_path / "r.toml", [f"embedding.{key}={json.dumps(value)}" for key, value in table.items()])
    assert recipe.embedding is not None
    return recipe.embedding


def from_model(table: dict[str, Any]) -> EmbeddingLayer:
    found = Description.model_validate_json(json.dumps({**STORED, "embedding": table})).layer
    assert found is not None
    return found


@pytest.mark.parametrize(("key", "least", "most"), BOUNDS)
def test_a_recipe_and_a_model_folder_have_the_same_bounds(tmp_path: Path, key: str, least: float, most: float) -> None:
    for value in (least, most):
        if value is not None:
            table = {"dim": 8, "projection": True, key: value}
            assert getattr(from_recipe(tmp_path, table), key) == getattr(from_model(table), key) == value
    step = 1 if key == "dim" else 1e-6
    for value in (least - step, None if most is None else most + step):
        if value is not None:
            table = {"dim": 8, "projection": True, key: value}
            with pytest.raises(RecipeError, match=rf"embedding\.{key}  must be .*\(got {value}\)$"):
                from_recipe(tmp_path, table)
            with pytest.raises(ValidationError, match=rf"embedding\.{key}\n  Input should be "):
                from_model(table)


def test_the_section_is_the_layer_and_the_weights_that_it_starts_from(tmp_path: Path) -> None:
    layer, section = inspect.signature(EmbeddingLayer).parameters, inspect.signature(EmbeddingSection).parameters
    assert list(section) == [*layer, "weights"] == ["dim", "projection", "whitening", "mirror", "zoom", "weights"]
    assert {part.kind for part in section.values()} == {inspect.Parameter.KEYWORD_ONLY}
    found = from_recipe(tmp_path, {"dim": 8, "zoom": 1, "weights": "~/runs/old"})
    assert found == EmbeddingSection(dim=8, weights=Path("~/runs/old"))
    assert type(found.zoom) is float


def test_a_model_folder_gets_the_layer_and_gives_it_back() -> None:
    section = EmbeddingSection(dim=8, projection=True, whitening=0.5, mirror=True, zoom=0.6, weights=Path("old"))
    stored = section.to_json()
    assert stored == {"dim": 8, "projection": True, "whitening": 0.5, "mirror": True, "zoom": 0.6}
    assert from_model(stored) == EmbeddingLayer(**stored)
    assert from_model(stored) == TypeAdapter(EmbeddingLayer).validate_json(json.dumps(stored))
