"""What needs no data is checked without data, and all of it at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.installed import install, installing

from metricface.components.backbones import _timm_names
from metricface.errors import PluginError, RecipeError
from metricface.recipe.load import load_recipe

TASK_B = Path("experiments/task_b.toml")


def refusal(*overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(TASK_B, overrides)
    return str(caught.value)


def test_a_misspelt_model_too_many_views_and_an_unknown_key_are_told_together(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    text = TASK_B.read_text().replace('"resnet18"', '"resnet19"').replace("views = 4", "views = 70")
    recipe.write_text(text.replace("weight_decay = 0.05", "weight_dcay = 0.05"))
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe)
    found = str(caught.value)
    lines = recipe.read_text().splitlines()
    for key, part in (("backbone.model", "resnet19"), ("train.batch_size", "batch_size = 64"), ("optimizer", "dcay")):
        (number,) = [number for number, text in enumerate(lines, start=1) if part in text]
        assert f"{recipe}:{number}  {key}" in found
    assert 'has no such model (got "resnet19"). Nearest: resnet18' in found
    assert (
        "64 is not two or more people times 70 views (sampler.views). Take 140, for instance, or other views" in found
    )


def test_a_batch_that_views_do_not_divide_is_refused() -> None:
    assert "7 is not two or more people times 4 views" in refusal("train.batch_size=7")


def test_weights_that_are_not_there_are_refused() -> None:
    assert 'backbone.weights  no such path, and no word for one (got "imagnet")' in refusal(
        'backbone.weights="imagnet"'
    )


@pytest.mark.parametrize("iresnet", [False, True])
def test_a_single_photo_is_no_batch_for_batch_normalisation(tmp_path: Path, iresnet: bool) -> None:
    recipe = tmp_path / "recipe.toml"
    text = TASK_B.read_text().replace('name = "cross-condition"', 'name = "shuffled"').replace("views = 4", "")
    if iresnet:
        text = text.replace("[embedding]\ndim = 512\n", "").replace('model = "resnet18"', "depth = 18")
        text = text.replace('name = "timm"', 'name = "iresnet"').replace('weights = "imagenet-if-available"', "")
    recipe.write_text(text.replace("batch_size = 64", "batch_size = 1"))
    with pytest.raises(RecipeError, match=r"train\.batch_size  .*normalises over a batch"):
        load_recipe(recipe)


def test_the_names_of_models_are_asked_of_timm_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    assert _timm_names.refused_model("resnet18") == ""
    monkeypatch.setattr(timm, "list_models", lambda: pytest.fail("asked again"))
    assert _timm_names.refused_model("resnet18.a1_in1k") == ""
    assert "Nearest: resnet18" in _timm_names.refused_model("resnet19")
    monkeypatch.setattr(_timm_names, "version", lambda _: "another")
    with pytest.raises(pytest.fail.Exception, match="asked again"):
        _timm_names.refused_model("resnet18")


def test_refusals_that_fail_name_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
from collections.abc import Mapping
class Odd:
    consumes = "embeddings"
    def __init__(self) -> None: ...
    def __call__(self, given): return given.embeddings.sum()
    @staticmethod
    def refusals(arguments: Mapping, batch_size: int) -> Mapping: raise KeyError("views")
"""
    install(tmp_path, "mf-odd", {"mf_odd": source}, {"metricface.losses": {"odd": "mf_odd:Odd"}})
    installing(monkeypatch, tmp_path)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(TASK_B.read_text().replace('name = "contrastive"', 'name = "odd"'))
    with pytest.raises(PluginError, match=r"loss 'odd' of mf-odd 1.0: refusals\(\) failed \(KeyError: 'views'\)"):
        load_recipe(recipe)


SIZED = """
from collections.abc import Mapping
class Odd:
    def __init__(self, *, border: int = 4) -> None: ...
    def __call__(self, view, rng): return view
    @staticmethod
    def size_refusals(arguments: Mapping, image_size: int) -> Mapping:
        if arguments["border"] == 9: raise KeyError("border")
        if image_size > 99: return {"image_size": f"{image_size} is too much. Take 99"}
        return {"border": f"is too wide for {image_size}"} if 2 * arguments["border"] >= image_size else {}
"""


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (("data.image_size=100",), "data.image_size  100 is too much. Take 99"),
        (("data.image_size=40", "transform.odd.border=20"), "transform.odd.border  is too wide for 40"),
    ],
)
def test_a_size_of_photos_is_refused_by_who_cannot_take_it(
    overrides: tuple[str, ...], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "mf-narrow", {"mf_narrow": SIZED}, {"metricface.transforms": {"odd": "mf_narrow:Odd"}})
    installing(monkeypatch, tmp_path)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(TASK_B.read_text() + '\n[[transform]]\nname = "odd"\nborder = 4\n')
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe, overrides)
    assert str(caught.value).endswith(problem)
    assert load_recipe(recipe, ("data.image_size=99",)).data.image_size == 99
    with pytest.raises(PluginError, match=r"transform 'odd' of mf-narrow 1.0: size_refusals\(\) failed \(KeyError"):
        load_recipe(recipe, ("transform.odd.border=9",))
