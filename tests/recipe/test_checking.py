"""Tables whose keys depend on a name, checked like any other key: with `pml`, `albumentations`, `torchvision`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from support.task_b_tree import RECIPE

from metricface.components.losses.pml import PmlLoss
from metricface.components.registry import installed_registries
from metricface.contracts import KINDS
from metricface.errors import RecipeError
from metricface.recipe.difference import differing_keys
from metricface.recipe.load import load_recipe
from metricface.recipe.schema import Recipe
from metricface.recipe.signature import choices, parameters, toml_example

KNOWN = installed_registries()
LOSS = """\
[[loss]]
name = "pml"
loss = "MultiSimilarityLoss"
weight = 0.5
[loss.arguments]
alpha = 3
distance = { name = "LpDistance", p = 1 }
reducer = { name = "PerAnchorReducer", reducer = { name = "ThresholdReducer", low = 0.1 } }
embedding_regularizer = { name = "LpRegularizer" }
"""
MINER = """
[miner]
name = "pml"
miner = "BatchEasyHardMiner"
[miner.arguments]
pos_strategy = "all"
allowed_neg_range = [0.1, 1]
"""
GOOD = RECIPE.replace('[[loss]]\nname = "contrastive"\nweight = 0.5\n', LOSS + MINER).replace("{root}", "photos")


def load(folder: Path, text: str = GOOD, *overrides: str) -> Recipe:
    path = folder / "r.toml"
    path.write_text(text)
    return load_recipe(path, overrides, KNOWN)


def problems(folder: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load(folder, text, *overrides)
    return [line.replace(f"{folder}/", "") for line in caught.value.problems]


def line_of(text: str, row: str) -> int:
    return text.count("\n", 0, text.index(row)) + 1


def changed(old: str, new: str, text: str = GOOD) -> str:
    assert old in text
    return text.replace(old, new, 1)


def test_every_default_is_written_in_and_the_resolved_copy_loads_to_the_same(tmp_path: Path) -> None:
    recipe = load(tmp_path)
    loss = recipe.losses[1]
    assert loss.weight == 0.5
    assert loss.arguments["arguments"]["alpha"] == 3.0
    assert loss.table()["arguments"] == {
        "alpha": 3.0,
        "beta": 50.0,
        "base": 0.5,
        "embedding_reg_weight": 1.0,
        "distance": {"name": "LpDistance", "normalize_embeddings": True, "p": 1.0, "power": 1.0},
        "reducer": {"name": "PerAnchorReducer", "reducer": {"name": "ThresholdReducer", "low": 0.1}},
        "embedding_regularizer": {"name": "LpRegularizer", "p": 2.0, "power": 1.0},
    }
    assert recipe.miner is not None
    assert recipe.miner.arguments["arguments"]["allowed_neg_range"] == (0.1, 1.0)
    again = load(tmp_path, recipe.to_toml())
    assert again == recipe
    assert again.digest == recipe.digest
    assert tomllib.loads(recipe.to_toml())["miner"]["arguments"]["neg_strategy"] == "semihard"


def test_a_default_and_the_same_value_written_out_are_one_recipe(tmp_path: Path) -> None:
    plain = load(tmp_path, changed("alpha = 3\n", ""))
    assert plain.digest == load(tmp_path, changed("alpha = 3", "alpha = 2")).digest != load(tmp_path).digest
    without = changed(LOSS, '[[loss]]\nname = "pml"\nloss = "NPairsLoss"\n')
    assert load(tmp_path, without).losses[1].table()["arguments"] == {"embedding_reg_weight": 1.0}


MISTAKES = {
    "unknown loss": (
        "MultiSimilarityLoss",
        "MultiSimilarity",
        'loss = "MultiSimilarity"',
        "loss.pml.loss  unknown loss 'MultiSimilarity'. Did you mean \"MultiSimilarityLoss\"? There are: AngularLoss, ",
    ),
    "excluded loss": (
        "MultiSimilarityLoss",
        "VICRegLoss",
        'loss = "VICRegLoss"',
        "loss.pml.loss  loss 'VICRegLoss' cannot be named in a recipe: it takes no labels: it wants two views ",
    ),
    "no loss": (
        'loss = "MultiSimilarityLoss"',
        "",
        '[[loss]]\nname = "pml"',
        "loss.pml.loss  is missing. Parameters: weight, loss, arguments, memory_size, memory_miner",
    ),
    "unknown argument": (
        "alpha = 3",
        "alhpa = 3",
        "alhpa = 3",
        'loss.pml.arguments.alhpa  unknown key. Did you mean "alpha"? Parameters: alpha, beta, base, ',
    ),
    "type": ("alpha = 3", "alpha = true", "alpha = true", "loss.pml.arguments.alpha  must be a number (got true)"),
    "nan": ("alpha = 3", "alpha = nan", "alpha = nan", "loss.pml.arguments.alpha  must be a finite number (got nan)"),
    "date": (
        "alpha = 3",
        "alpha = 2020-01-01",
        "[loss.arguments]",
        "loss.pml.arguments  is or holds a date or time, which no parameter takes: put it in quotes",
    ),
    "filled in": (
        "alpha = 3",
        "num_classes = 3",
        "num_classes = 3",
        "loss.pml.arguments.num_classes  is filled in by MetricFace: take it out",
    ),
    "unknown distance": (
        "LpDistance",
        "LpDist",
        'distance = { name = "LpDist", p = 1 }',
        "loss.pml.arguments.distance.name  unknown distance 'LpDist'. Did you mean \"LpDistance\"? There are: Cosine",
    ),
    "no distance": (
        'name = "LpDistance", ',
        "",
        "distance = { p = 1 }",
        "loss.pml.arguments.distance.name  is missing or no text. There are: CosineSimilarity, DotProductSimilarity, ",
    ),
    "argument of a distance": (
        "p = 1",
        "q = 1",
        'distance = { name = "LpDistance", q = 1 }',
        "loss.pml.arguments.distance.q  unknown key. Parameters: name, normalize_embeddings, p, power",
    ),
    "no table": (
        '{ name = "LpDistance", p = 1 }',
        '"LpDistance"',
        'distance = "LpDistance"',
        "loss.pml.arguments.distance  must be a table (got 'LpDistance')",
    ),
    "deep inside": (
        "low = 0.1",
        'low = "a"',
        'reducer = { name = "PerAnchorReducer", reducer = { name = "ThresholdReducer", low = "a" } }',
        "loss.pml.arguments.reducer.reducer.low  must be a number (got 'a')",
    ),
    "a choice of words": (
        '"all"',
        '"al"',
        'pos_strategy = "al"',
        "miner.arguments.pos_strategy  must be 'hard', 'semihard', 'easy' or 'all' (got 'al')",
    ),
    "weights of a loss without any": (
        "embedding_regularizer",
        "weight_regularizer",
        'weight_regularizer = { name = "LpRegularizer" }',
        "loss.pml.arguments.weight_regularizer  unknown key. ",
    ),
    "memory": (
        "weight = 0.5",
        "memory_size = -1",
        "memory_size = -1",
        "loss.pml.memory_size  must be greater than or equal to 0 (got -1)",
    ),
    "memory miner": (
        "weight = 0.5",
        'memory_miner = { name = "HDC" }',
        'memory_miner = { name = "HDC" }',
        "loss.pml.memory_miner.name  unknown miner 'HDC'. ",
    ),
    "required": (
        'loss = "MultiSimilarityLoss"',
        'loss = "RankedListLoss"',
        "[loss.arguments]",
        "loss.pml.arguments.Tn  is missing. Parameters: margin, Tn, imbalance, alpha, Tp, ",
    ),
}


@pytest.mark.parametrize("why", MISTAKES)
def test_each_mistake_has_its_place_and_its_way_out(why: str, tmp_path: Path) -> None:
    old, new, row, message = MISTAKES[why]
    text = changed(old, new)
    found = problems(tmp_path, text)
    assert any(line.startswith(f"r.toml:{line_of(text, row)}  {message}") for line in found), found
    assert len(found) == (2 if why == "required" else 1)


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    text = changed("alpha = 3", "alhpa = 3").replace("p = 1", 'p = "one"').replace("epochs = 2", "epochs = 0")
    text = text.replace("low = 0.1", "lo = 0.1").replace("BatchEasyHardMiner", "BatchEasyMiner")
    keys = [line.split("  ")[1] for line in problems(tmp_path, text)]
    assert keys == [
        *("loss.pml.arguments.reducer.reducer.lo", "loss.pml.arguments.distance.p", "loss.pml.arguments.alhpa"),
        *("miner.miner", "train.epochs"),
    ]


def test_set_reaches_into_the_tables(tmp_path: Path) -> None:
    recipe = load(tmp_path, GOOD, "loss.pml.arguments.alpha=4", "loss.pml.arguments.distance.p=2")
    assert recipe.losses[1].arguments["arguments"]["alpha"] == 4.0
    assert recipe.losses[1].arguments["arguments"]["distance"]["p"] == 2.0
    documents = [load(tmp_path).document()], [recipe.document()]
    assert differing_keys(*documents) == {
        "loss.pml.arguments.alpha": ([3.0], [4.0]),
        "loss.pml.arguments.distance.p": ([1.0], [2.0]),
    }
    (found,) = problems(tmp_path, GOOD, "loss.pml.arguments.alpha=far")
    assert found == "--set loss.pml.arguments.alpha=far  loss.pml.arguments.alpha  must be a number (got 'far')"


ARCFACE = '[[loss]]\nname = "pml"\nloss = "ArcFaceLoss"\n[loss.arguments]\nmargin = {margin}\n'


def test_degrees_are_no_mistake_and_what_looks_like_radians_is_asked_about(tmp_path: Path) -> None:
    text = changed(LOSS + MINER, ARCFACE)
    assert load(tmp_path, text.format(margin=28.6)).notices == ()
    (notice,) = load(tmp_path, text.format(margin=0.5)).notices
    assert notice.replace(f"{tmp_path}/", "") == (
        f"r.toml:{line_of(text, 'margin = {margin}')}  loss.pml.arguments.margin  is in degrees here: 0.5 degrees are "
        "0.008727 radians. If you mean radians, write 28.65"
    )


def test_a_miner_needs_a_loss_that_looks_at_its_pairs(tmp_path: Path) -> None:
    for loss in ('loss = "RankedListLoss"\narguments = { margin = 0.4, Tn = 5 }', 'loss = "NCALoss"\nmemory_size = 64'):
        (found,) = problems(tmp_path, changed(LOSS, f'[[loss]]\nname = "pml"\n{loss}\n'))
        assert found.endswith("miner  no loss of this recipe looks at pairs: take it out or add a pair loss")


def test_two_losses_of_the_library_in_one_recipe_are_told_apart(tmp_path: Path) -> None:
    text = changed(MINER, ARCFACE.format(margin=20))
    recipe = load(tmp_path, text, "loss.pml-2.arguments.margin=30")
    assert [part.arguments.get("loss") for part in recipe.losses] == [None, "MultiSimilarityLoss", "ArcFaceLoss"]
    assert recipe.losses[2].arguments["arguments"]["margin"] == 30.0


def test_show_lists_names_and_what_they_take_with_units() -> None:
    shown = choices(PmlLoss, KINDS["loss"])
    assert shown[0] == (
        "loss, one of (each also takes embedding_regularizer = {...}, embedding_reg_weight = 1.0, reducer = {...}, "
        "distance = {...}):"
    )
    arcface = (
        "  ArcFaceLoss: margin = 28.6 (degrees), scale = 64.0, weight_regularizer = {...}, weight_reg_weight = 1.0"
    )
    assert arcface in shown
    assert "  NPairsLoss" in shown
    assert "  RankedListLoss: margin, Tn, imbalance = 0.5, alpha = None, Tp = 0.0" in shown
    headings = [line.split(",")[0] for line in shown if not line.startswith(" ")]
    assert headings == ["loss", "miner", "regularizer", "reducer", "distance"]
    assert parameters(PmlLoss, KINDS["loss"])[:2] == ["loss: str", "arguments: table | None = None"]
    example: dict[str, Any] = tomllib.loads(toml_example("pml", PmlLoss, KINDS["loss"]))
    assert example == {"loss": [{"name": "pml", "memory_size": 0}]}


TRANSFORMS = """\
[[transform]]
name = "albumentations"
transform = "RandomResizedCrop"
[transform.arguments]
scale = [0.8, 1.0]

[[transform]]
name = "albumentations"
transform = "CoarseDropout"
probability = 0.1

[[transform]]
name = "torchvision"
transform = "RandomRotation"
[transform.arguments]
degrees = 10
"""
AUGMENTED = RECIPE.replace('[[transform]]\nname = "horizontal-flip"\n', TRANSFORMS).replace("{root}", "photos")


def test_a_transform_of_a_package_may_stand_twice_with_its_defaults_written_in(tmp_path: Path) -> None:
    recipe = load(tmp_path, AUGMENTED)
    first, second, third = (part.arguments for part in recipe.transforms)
    assert (first["transform"], first["probability"], first["arguments"]["scale"]) == (
        *("RandomResizedCrop", 0.5),
        [0.8, 1.0],
    )
    assert "size" not in first["arguments"]
    assert (second["probability"], second["arguments"]["num_holes_range"]) == (0.1, (1, 2))
    assert third["arguments"]["interpolation"] == "nearest"
    again = load(tmp_path, recipe.to_toml())
    assert again.digest == recipe.digest


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "scale =",
            "scael =",
            'transform.albumentations.arguments.scael  unknown key. Did you mean "scale"? Parameters',
        ),
        (
            "scale = [0.8, 1.0]",
            "size = [32, 32]",
            "transform.albumentations.arguments.size  is filled in by MetricFace: take it out",
        ),
        (
            "degrees = 10",
            "degrees = 10\np = 0.3",
            "transform.torchvision.arguments.p  is said as probability, beside transform: write it there",
        ),
        (
            "scale = [0.8, 1.0]",
            "fill_mask = 0",
            "transform.albumentations.arguments.fill_mask  is for masks and points, which photos of faces do not have",
        ),
        (
            "degrees = 10",
            'degrees = 10\ninterpolation = "lanczos"',
            "transform.torchvision.arguments.interpolation  must be 'nearest', 'nearest-exact', 'bilinear' or",
        ),
        (
            "degrees = 10",
            "degrees = -1",
            "transform.torchvision.arguments  RandomRotation of torchvision refuses them (",
        ),
    ],
)
def test_a_mistake_in_a_transform_of_a_package_has_its_place(old: str, new: str, message: str, tmp_path: Path) -> None:
    (found,) = problems(tmp_path, changed(old, new, AUGMENTED))
    assert message in found
