from __future__ import annotations

from metricface.recipe.difference import differing_keys

RECIPE = {
    "run": {"name": "x", "seed": 0},
    "head": {"name": "arcface", "margin": 0.5},
    "loss": [{"name": "cross-entropy", "weight": 1.0}, {"name": "contrastive", "weight": 0.5}],
    "transform": [{"name": "crop", "scale": [0.8, 1.0]}, {"name": "crop", "scale": [0.5, 1.0]}],
}


def changed(**sections: object) -> dict:
    return {**RECIPE, **sections}


def test_equal_recipes_differ_in_nothing() -> None:
    assert differing_keys([RECIPE], [changed()]) == {}


def test_nested_keys_are_named_as_set_names_them() -> None:
    other = changed(
        head={"name": "arcface", "margin": 0.3, "scale": 30.0},
        loss=[{"name": "cross-entropy", "weight": 1.0}, {"name": "contrastive", "weight": 0.2}],
        transform=[{"name": "crop", "scale": [0.8, 1.0]}, {"name": "crop", "scale": [0.6, 1.0]}],
    )
    assert differing_keys([RECIPE], [other]) == {
        "head.margin": ([0.5], [0.3]),
        "head.scale": ([None], [30.0]),
        "loss.contrastive.weight": ([0.5], [0.2]),
        "transform.crop-2.scale": ([[0.5, 1.0]], [[0.6, 1.0]]),
    }


def test_order_and_missing_components_of_an_array_are_named_by_the_array() -> None:
    turned = changed(loss=RECIPE["loss"][::-1])
    assert differing_keys([RECIPE], [turned]) == {
        "loss": ([["cross-entropy", "contrastive"]], [["contrastive", "cross-entropy"]])
    }
    fewer = changed(loss=RECIPE["loss"][:1])
    assert differing_keys([RECIPE], [fewer]) == {
        "loss": ([["cross-entropy", "contrastive"]], [["cross-entropy"]]),
        "loss.contrastive.weight": ([0.5], [None]),
    }


def test_several_recipes_on_a_side_give_each_value_once() -> None:
    seeds = [changed(run={"name": "x", "seed": seed}) for seed in (0, 1)]
    assert differing_keys(seeds, [RECIPE]) == {"run.seed": ([0, 1], [0])}
    assert differing_keys(seeds, seeds) == {}
