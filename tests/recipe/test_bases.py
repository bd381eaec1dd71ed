"""Recipes that build on others: what they say together, who said it, and what cannot be built on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import ROOT

from metricface.errors import RecipeError
from metricface.recipe.bases import read_recipe
from metricface.recipe.load import load_recipe

BASE = """[run]
name = "base"
[data]
name = "folder"
image_size = 80
extension = "png"
[[transform]]
name = "flip"
[[transform]]
name = "rotation"
angle = 0.2
[head]
name = "arc"
margin = 0.5
[[loss]]
name = "softmax"
[[loss]]
name = "pairs"
weight = 0.5
[optimizer.schedule]
steps = [1, 2]
warm = 3
"""


def read(folder: Path, **texts: str) -> tuple[dict[str, Any], dict[Any, str]]:
    """Return what the last of some recipes says, and the places without the folder."""
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)
    table, places = read_recipe(folder / f"{name}.toml")
    return table, {path: place.removeprefix(f"{folder}/") for path, place in places.items()}


def said(folder: Path, text: str) -> dict[str, Any]:
    return read(folder, base=BASE, own=f'base = "base.toml"\n{text}')[0]


def expected(**sections: Any) -> dict[str, Any]:
    return {**tomllib.loads(BASE), **sections}


def test_a_recipe_says_what_differs(tmp_path: Path) -> None:
    assert said(tmp_path, "") == tomllib.loads(BASE)
    assert said(tmp_path, "[head]\nmargin = 0.3\nscale = 9.0") == expected(
        head={"name": "arc", "margin": 0.3, "scale": 9.0}
    )
    assert said(tmp_path, "[train]\nepochs = 3") == expected(train={"epochs": 3})
    assert said(tmp_path, "[optimizer.schedule]\nsteps = [5]") == expected(
        optimizer={"schedule": {"steps": [5], "warm": 3}}
    )


def test_elements_are_changed_by_name_and_new_ones_come_last(tmp_path: Path) -> None:
    own = '[[loss]]\nname = "triplet"\n[[loss]]\nname = "pairs"\nmargin = 1'
    losses = [{"name": "softmax"}, {"name": "pairs", "weight": 0.5, "margin": 1}, {"name": "triplet"}]
    assert said(tmp_path, own) == expected(loss=losses)


def test_another_component_begins_anew_but_for_the_engines_keys_of_data(tmp_path: Path) -> None:
    own = '[head]\nname = "linear"\n[data]\nname = "csv"\nroot = "b"'
    assert said(tmp_path, own) == expected(head={"name": "linear"}, data={"name": "csv", "image_size": 80, "root": "b"})


def test_without_takes_out_sections_elements_and_keys(tmp_path: Path) -> None:
    table = said(tmp_path, 'without = ["head", "loss.softmax", "data.extension", "transform.rotation.angle"]')
    assert "head" not in table
    assert table["loss"] == [{"name": "pairs", "weight": 0.5}]
    assert table["data"] == {"name": "folder", "image_size": 80}
    assert table["transform"] == [{"name": "flip"}, {"name": "rotation"}]
    anew = said(tmp_path, 'without = ["transform"]\n[[transform]]\nname = "rotation"\n[[transform]]\nname = "flip"')
    assert anew["transform"] == [{"name": "rotation"}, {"name": "flip"}]


def test_the_second_of_a_name_changes_the_bases_second(tmp_path: Path) -> None:
    twice = '[[transform]]\nname = "crop"\nsize = 1\n[[transform]]\nname = "crop"\nsize = 2\n'
    table, _ = read(tmp_path, base=twice, own='base = "base.toml"\n' + twice.replace("size = 2", "size = 5"))
    assert table["transform"] == [{"name": "crop", "size": 1}, {"name": "crop", "size": 5}]
    table, _ = read(tmp_path, own='base = "base.toml"\nwithout = ["transform.crop-2"]\n')
    assert table["transform"] == [{"name": "crop", "size": 1}]


def test_every_key_has_the_place_that_said_it(tmp_path: Path) -> None:
    table, places = read(
        tmp_path,
        base=BASE,
        middle='base = "base.toml"\nwithout = ["transform.flip"]\n[[loss]]\nname = "pairs"\nmargin = 1\n',
        own='base = "middle.toml"\n[head]\nmargin = 0.3\n',
    )
    assert [loss["name"] for loss in table["loss"]] == ["softmax", "pairs"]
    assert places["head", "margin"] == "own.toml:3"
    assert places["head", "name"] == "base.toml:13"
    assert places["loss", 1, "margin"] == "middle.toml:5"
    assert places["loss", 1, "weight"] == "base.toml:19"
    assert places["transform", 0, "angle"] == "base.toml:11"
    assert ("transform", 1) not in places


def test_a_base_is_looked_for_beside_the_recipe_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "base.toml").write_text(BASE)
    (tmp_path / "shared" / "middle.toml").write_text('base = "base.toml"\n[run]\nseed = 1\n')
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own.toml").write_text('base = "../shared/middle.toml"\n[run]\nname = "own"\n')
    monkeypatch.chdir("/")
    assert read_recipe(tmp_path / "mine" / "own.toml")[0] == expected(run={"name": "own", "seed": 1})


MISTAKES = {
    "a file that is not there": (
        'base = "bsae.toml"',
        'own.toml:1  base  bsae.toml: no such recipe. Did you mean "base.toml"? Recipes in .: base.toml, own.toml',
    ),
    "a folder": ('base = "."', "own.toml:1  base  .: a folder, not a recipe. Recipes in .: base.toml, own.toml"),
    "no text": ("base = 3", 'own.toml:1  base  needs a recipe to build on: base = "task_b.toml" (got 3)'),
    "a table": (
        "[base]\nname = 1",
        "own.toml:1  base  needs a recipe to build on: base = \"task_b.toml\" (got {'name': 1})",
    ),
    "an address": (
        'base = "https://a.org/b.toml"',
        "own.toml:1  base  needs a recipe to build on: base = \"task_b.toml\" (got 'https://a.org/b.toml')",
    ),
    "nobody's home": (
        'base = "~nobody-here/b.toml"',
        "own.toml:1  base  cannot be looked for (Could not determine home directory). "
        'Name a file beside this one: "task_b.toml"',
    ),
    "a zero byte": (
        'base = "b\\u0000.toml"',
        "own.toml:1  base  needs a recipe to build on: base = \"task_b.toml\" (got 'b\\x00.toml')",
    ),
    "itself": ('base = "own.toml"', "own.toml:1  base  goes round in a circle: own.toml -> own.toml"),
    "without a base": (
        '\nwithout = ["head"]',
        'own.toml:2  without  needs a recipe to build on: base = "task_b.toml" (got None)',
    ),
    "without what is not there": (
        'base = "base.toml"\nwithout = ["loss.par"]',
        "own.toml:2  without  'loss.par' is not in the base. Did you mean \"loss.pairs\"? "
        "There are: loss.softmax, loss.pairs",
    ),
    "without what has no parts": (
        'base = "base.toml"\nwithout = ["head.margin.a"]',
        "own.toml:2  without  'head.margin.a' is not in the base. There are: none",
    ),
    "without a word": (
        'base = "base.toml"\nwithout = "head"',
        'own.toml:2  without  must be a list of names: without = ["head", "loss.triplet"] (got \'head\')',
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_cannot_be_built_on_is_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text, message = MISTAKES[name]
    Path("base.toml").write_text(BASE)
    Path("own.toml").write_text(text)
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        read_recipe(Path("own.toml"))


def test_a_circle_of_several_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, other in {"a": "b", "b": "c", "c": "./a"}.items():
        Path(f"{name}.toml").write_text(f'base = "{other}.toml"\n')
    with pytest.raises(
        RecipeError, match=re.escape("c.toml:1  base  goes round in a circle: a.toml -> b.toml -> c.toml")
    ):
        read_recipe(Path("a.toml"))


def test_recipes_build_on_each_other_only_so_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r0.toml").write_text(BASE)
    for number in range(1, 22):
        Path(f"r{number}.toml").write_text(f'base = "r{number - 1}.toml"\n')
    assert read_recipe(Path("r20.toml"))[0] == expected()
    message = "r1.toml:1  base  is one of more than 20 that r21.toml builds on. Put some into one file."
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        read_recipe(Path("r21.toml"))


@pytest.mark.parametrize("name", ["link.toml", f"{'a' * 300}.toml"], ids=["a link to itself", "a name too long"])
def test_what_the_system_refuses_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "link.toml").symlink_to("link.toml")
    (tmp_path / "own.toml").write_text(f'base = "{name}"\n')
    with pytest.raises(RecipeError, match=r"own\.toml:1  base  .*cannot be "):  # the rest is the system's words
        read_recipe(tmp_path / "own.toml")


def test_what_is_missing_since_it_was_taken_out_is_told_where_that_stands(tmp_path: Path) -> None:
    shipped = ROOT / "experiments" / "task_b.toml"
    (tmp_path / "middle.toml").write_text(f'base = "{shipped}"\nwithout = ["train.epochs", "sampler"]\n')
    own = tmp_path / "own.toml"
    own.write_text('base = "middle.toml"\n[run]\nname = "own"\n')
    with pytest.raises(RecipeError) as caught:
        load_recipe(own)
    assert [problem.partition(". Parameters")[0] for problem in caught.value.problems] == [
        f"{tmp_path}/middle.toml:2  [sampler]  the section is missing",
        f"{tmp_path}/middle.toml:2  train.epochs  is missing",
    ]
    own.write_text('base = "middle.toml"\n[sampler]\nname = "shuffled"\n[train]\nepochs = "three"\n')
    with pytest.raises(RecipeError, match=rf"^{own}:5  train.epochs  must be an integer"):
        load_recipe(own)


def test_a_mistake_in_a_base_is_told_where_it_stands(tmp_path: Path) -> None:
    text = (ROOT / "experiments" / "task_b.toml").read_text().replace("margin = 0.3 ", "marginn = 0.3")
    (tmp_path / "task_b.toml").write_text(text)
    own = tmp_path / "own.toml"
    own.write_text('base = "task_b.toml"\n[head]\nscale = "big"\n')
    with pytest.raises(RecipeError) as caught:
        load_recipe(own)
    line = next(number for number, row in enumerate(text.splitlines(), 1) if "marginn" in row)
    marginn, scale = sorted(caught.value.problems, key=lambda problem: "scale  " in problem)
    assert marginn.startswith(f'{tmp_path}/task_b.toml:{line}  head.marginn  unknown key. Did you mean "margin"?')
    assert scale.startswith(f"{own}:3  head.scale  must be a number")
    with pytest.raises(RecipeError, match=r"^--set head.scale=-1  head.scale  must be greater than 0"):
        load_recipe(ROOT / "experiments" / "task_b_adaface.toml", ["head.scale=-1"])


def test_together_they_are_the_recipe_that_one_file_would_be(tmp_path: Path) -> None:
    shipped = load_recipe(ROOT / "experiments" / "task_b_vit.toml")
    alone = tmp_path / "alone.toml"
    alone.write_text(shipped.to_toml())
    assert "base" not in shipped.document()
    assert load_recipe(alone).digest == shipped.digest


@pytest.mark.parametrize("recipe", sorted((ROOT / "experiments").glob("*.toml")), ids=lambda path: path.stem)
def test_a_shipped_recipe_repeats_nothing_of_its_base(recipe: Path) -> None:
    own = tomllib.loads(recipe.read_text())
    if "base" not in own:
        return
    base, _ = read_recipe(recipe.parent / own["base"])
    gone = {name.partition(".")[0] for name in own.get("without", ())}
    for section, value in own.items():
        before = base.get(section)
        if isinstance(value, dict) and isinstance(before, dict) and value.get("name") in (None, before.get("name")):
            assert [key for key in value if key != "name" and value[key] == before.get(key)] == []
        if isinstance(value, list) and section not in gone and section not in ("base", "without"):
            assert [element for element in value if element in before] == []


NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.one_of(st.integers(0, 3), st.lists(st.integers(0, 3), max_size=2))
TABLES = st.dictionaries(st.sampled_from(["x", "y", "z"]), VALUES | st.dictionaries(NAMES, VALUES, max_size=2))
ELEMENTS = st.lists(st.tuples(NAMES, TABLES), min_size=1, max_size=3, unique_by=lambda one: one[0]).map(
    lambda ones: [{"name": name, **table} for name, table in ones]
)
RECIPES = st.fixed_dictionaries({}, optional={"run": TABLES, "train": TABLES, "loss": ELEMENTS, "transform": ELEMENTS})


def toml(table: dict[str, Any]) -> str:
    def shown(value: Any) -> str:
        if isinstance(value, dict):
            return "{ " + ", ".join(f"{key} = {shown(one)}" for key, one in value.items()) + " }"
        if isinstance(value, list):
            return "[" + ", ".join(map(shown, value)) + "]"
        return f'"{value}"' if isinstance(value, str) else str(value)

    return "\n".join(f"{key} = {shown(value)}" for key, value in table.items()) + "\n"


def over(base: Any, own: Any) -> Any:
    """The rule in other words: dictionaries update each other, lists of tables as dictionaries by name."""
    if isinstance(base, dict) and isinstance(own, dict):
        return {key: over(base.get(key), own.get(key, base.get(key))) for key in {**base, **own}}
    if all(isinstance(one, list) and one and isinstance(one[0], dict) for one in (base, own)):
        by_name = ({element["name"]: element for element in one} for one in (base, own))
        return list(over(*by_name).values())
    return own


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(base=RECIPES, own=RECIPES)
def test_what_is_said_together(tmp_path: Path, base: dict[str, Any], own: dict[str, Any]) -> None:
    together, places = read(tmp_path, base=toml(base), own='base = "base.toml"\n' + toml(own))
    assert together == over(base, own)
    assert {path[0] for path in places if path} == set(together)
    again, _ = read(tmp_path, again='base = "own.toml"\n' + toml(together))
    assert again == together
