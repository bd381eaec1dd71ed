"""Recipes over fake components, so that these tests are about recipes alone."""

from __future__ import annotations

import string
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Gt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metricface.components.registry import Registry
from metricface.contracts import KINDS
from metricface.errors import PluginError, RecipeError
from metricface.recipe.load import load_recipe
from metricface.recipe.schema import Recipe


class Part:
    def __call__(self, *args: Any) -> None: ...


class Folder(Part):
    def __init__(self, *, root: Path, split: str, extension: str = "jpg") -> None: ...
    def __len__(self) -> int: ...
    def read(self, index: int) -> None: ...


class Net(Part):
    def __init__(
        self, *, model: str = "small", sizes: tuple[int, ...] = (1, 2), weights: Path | None = None
    ) -> None: ...
    def forward(self, images: Any) -> None: ...


class SizedNet(Net):
    @staticmethod
    def usual_image_size(arguments: Any) -> int | None:
        if arguments["model"] == "unknown":
            raise RecipeError("backbone.model: no such model. Take another.")
        return {"small": 96, "plain": None}[arguments["model"]]


class Arc(Part):
    def __init__(
        self, *, embedding_dim: int, num_classes: int, scale: Annotated[float, Gt(0)] = 64.0, margin: float = 0.5
    ) -> None: ...


class Softmax(Part):
    consumes = "logits"


class Pairs(Part):
    consumes = "embeddings"

    def __init__(self, *, margin: float, mode: Literal["hard", "easy"] = "hard") -> None: ...


class Alone(Part):
    consumes = "embeddings"
    uses_pairs = False


class Order(Part):
    def __init__(self, *, labels: list[int], batch_size: int, views: int = 2, drop: bool = False) -> None: ...
    def __len__(self) -> int: ...
    def batches(self, epoch: int) -> None: ...


class Spoil(Part):
    def __init__(self, *, distortions: dict[str, Any], probability: float = 0.5) -> None: ...


class Judge(Part):
    metrics = ("near.rank1", "far.rank1")

    def __init__(self, *, strict: bool = False) -> None: ...

    def check(self, dataset: Any) -> None: ...


def descent(*, parameter_groups: list[Any], lr: float) -> Any: ...


def broken() -> Any:
    raise AssertionError


NAMES = {
    "dataset": {"folder": "Folder"},
    "backbone": {"net": "Net", "sized": "SizedNet"},
    "head": {"arc": "Arc"},
    "loss": {"softmax": "Softmax", "pairs": "Pairs", "alone": "Alone", "broken": "Nowhere"},
    "miner": {"all": "Part"},
    "sampler": {"order": "Order"},
    "transform": {"spoil": "Spoil"},
    "distortion": {"foggy": "Part", "rainy": "Part"},
    "optimizer": {"descent": "descent"},
    "evaluator": {"judge": "Judge", "judge-2": "Judge"},
}
KNOWN = {
    name: Registry(
        kind,
        [EntryPoint(short, f"{__name__}:{cls}", kind.group) for short, cls in NAMES.get(name, {}).items()],
    )
    for name, kind in KINDS.items()
}

GOOD = """\
[run]
name = "try"     # a comment

[data]
name = "folder"
root = "photos"

[[transform]]
name = "spoil"
distortions = [
  "foggy",
]

[backbone]
name = "net"

[head]
name = "arc"
margin = 0.4

[[loss]]
name = "softmax"

[[loss]]
name = "pairs"
margin = 0.2
weight = 0.5

[sampler]
name = "order"

[optimizer]
name = "descent"
lr = 1e-3

[train]
epochs = 3
batch_size = 8

[[evaluate]]
name = "judge"
"""


def load(tmp_path: Path, text: str = GOOD, *overrides: str) -> Recipe:
    path = tmp_path / "r.toml"
    path.write_text(text)
    return load_recipe(path, overrides, KNOWN)


def problems(tmp_path: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, text, *overrides)
    return [line.replace(f"{tmp_path}/", "") for line in caught.value.problems]


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def test_a_good_recipe_has_every_default_written_in(tmp_path: Path) -> None:
    recipe = load(tmp_path)
    assert recipe.head.arguments == {"scale": 64.0, "margin": 0.4}
    assert recipe.backbone.arguments == {"model": "small", "sizes": (1, 2), "weights": None}
    assert [(part.name, part.weight) for part in recipe.losses] == [("softmax", 1.0), ("pairs", 0.5)]
    assert (recipe.data.root, recipe.data.image_size, recipe.run.seed) == (Path("photos"), 112, 0)
    assert recipe.document()["backbone"] == {"name": "net", "model": "small", "sizes": [1, 2]}
    assert len(recipe.components()) == 9


def test_photos_have_the_backbones_usual_size_where_the_recipe_is_silent(tmp_path: Path) -> None:
    sized = changed('name = "net"', 'name = "sized"')
    recipe = load(tmp_path, sized)
    assert recipe.data.image_size == recipe.document()["data"]["image_size"] == 96
    assert load(tmp_path, recipe.to_toml()).digest == recipe.digest
    assert load(tmp_path, sized, "data.image_size=64").data.image_size == 64
    assert load(tmp_path, sized, 'backbone.model="plain"').data.image_size == 112
    assert problems(tmp_path, sized, 'backbone.model="unknown"', "train.epochs=1") == [
        "r.toml:14  backbone  data.image_size is not given, and its own cannot be told: "
        "backbone.model: no such model. Take another."
    ]
    with pytest.raises(PluginError, match=r"usual_image_size\(\) failed \(KeyError: 'odd'\)\. Fix or uninstall"):
        load(tmp_path, sized, 'backbone.model="odd"')


def test_all_mistakes_come_at_once_with_line_and_suggestion(tmp_path: Path) -> None:
    text = changed("margin = 0.4", "margn = 0.4").replace('"softmax"', '"softmx"').replace("epochs = 3", "epochs = 0")
    assert problems(tmp_path, text) == [
        'r.toml:19  head.margn  unknown key. Did you mean "margin"? Parameters: scale, margin',
        "r.toml:22  loss.softmx.name  unknown loss 'softmx'. Did you mean \"softmax\"? There are: alone, broken, pairs, softmax. "
        "If you just added it, run pip install -e . again.",
        "r.toml:37  train.epochs  must be greater than 0 (got 0)",
    ]


MISTAKES = {
    "unknown section": (GOOD + "[heads]\n", 'r.toml:42  heads  unknown section. Did you mean "head"? Sections: run,'),
    "single brackets": (
        changed('[[loss]]\nname = "softmax"\n\n[[loss]]', "[loss]"),
        "r.toml:21  loss  may stand more than once: write [[loss]]",
    ),
    "double brackets": (changed("[head]", "[[head]]"), "r.toml:17  head  stands once: write [head]"),
    "missing section": (changed('[sampler]\nname = "order"\n', ""), "r.toml  [sampler]  the section is missing"),
    "missing name": (
        changed('name = "net"', 'model = "x"'),
        "backbone.name  is missing or no text. There are: net, sized",
    ),
    "missing key": (changed("lr = 1e-3\n", ""), "r.toml:32  optimizer.lr  is missing. Parameters: lr"),
    "offered": (
        changed("margin = 0.4", "embedding_dim = 3"),
        "r.toml:19  head.embedding_dim  is filled in by MetricFace: take it out",
    ),
    "bound": (changed("margin = 0.4", "scale = -1"), "r.toml:19  head.scale  must be greater than 0 (got -1)"),
    "type": (changed("margin = 0.4", 'margin = "wide"'), "r.toml:19  head.margin  must be a number (got 'wide')"),
    "nan": (changed("margin = 0.4", "margin = nan"), "r.toml:19  head.margin  must be a finite number (got nan)"),
    "bool": (changed('name = "order"', 'name = "order"\nviews = true'), "sampler.views  must be an integer (got true)"),
    "literal": (
        changed("margin = 0.2", 'margin = 0.2\nmode = "hrd"'),
        "loss.pairs.mode  must be 'hard' or 'easy' (got 'hrd')",
    ),
    "distortion": (
        changed('"foggy"', '"fogy"'),
        "r.toml:10  transform.spoil.distortions  unknown distortion 'fogy'. Did you mean \"foggy\"? There are: foggy, rainy",
    ),
    "date": (
        changed("margin = 0.4", "margin = 2020-01-01"),
        "r.toml:19  head.margin  is or holds a date or time, which no parameter takes: put it in quotes",
    ),
    "a section of tables alone": (GOOD + "[heads.arc]\n", 'r.toml:42  heads  unknown section. Did you mean "head"?'),
    "a table in a section": (
        GOOD.replace('[sampler]\nname = "order"', "[sampler.order]"),
        "r.toml:29  sampler.name  is missing or no text. There are: order",
    ),
    "an element without a name": (changed('name = "softmax"', "margin = 1"), "loss.name  is missing or no text"),
    "weight": (
        changed("weight = 0.5", "weight = -0.5"),
        "loss.pairs.weight  must be a number of at least 0 (got -0.5)",
    ),
    "run name": (changed('"try"', '"../try"'), "run.name  must be usable as a folder name"),
    "workers": (changed("epochs = 3", 'epochs = 3\nworkers = "many"'), "train.workers  must be an integer"),
    "threads": (
        changed("epochs = 3", "epochs = 3\nthreads = 0"),
        "train.threads  must be greater than or equal to 1 (got 0) or must be 'auto'",
    ),
    "no head": (
        changed('[head]\nname = "arc"\nmargin = 0.4\n', ""),
        "loss.softmax.name  'softmax' needs the logits of a head: add a [head]",
    ),
    "idle head": (changed('[[loss]]\nname = "softmax"\n', ""), "r.toml:17  head  no loss uses its logits"),
    "idle miner": (
        changed('[[loss]]\nname = "pairs"\nmargin = 0.2\nweight = 0.5', '[miner]\nname = "all"'),
        "miner  no loss of this recipe looks at pairs",
    ),
    "miner beside a loss that ignores pairs": (
        changed('[[loss]]\nname = "pairs"\nmargin = 0.2', '[miner]\nname = "all"\n[[loss]]\nname = "alone"'),
        "miner  no loss of this recipe looks at pairs",
    ),
    "twice": (
        GOOD + '[[evaluate]]\nname = "judge"\n',
        "r.toml:43  evaluate.judge-2.name  'judge' stands there twice with the same arguments: take one out, or change it",
    ),
    "two that reports would call alike": (
        GOOD + '[[evaluate]]\nname = "judge-2"\n[[evaluate]]\nname = "judge"\nstrict = true\n',
        "r.toml:45  evaluate.judge-2.name  reports would call two evaluators 'judge-2': write \"unknown package:judge\" here",
    ),
    "select one of two": (
        changed("epochs = 3", 'epochs = 3\nselect = "judge-2.near"') + '[[evaluate]]\nname = "judge"\nstrict = true\n',
        "There are: last, judge.near.rank1, judge.far.rank1, judge-2.near.rank1, judge-2.far.rank1",
    ),
    "select": (
        changed("epochs = 3", 'epochs = 3\nselect = "judge.near.rank"'),
        "train.select  no evaluator gives 'judge.near.rank'. Did you mean \"judge.near.rank1\"? There are: last, judge.near",
    ),
    "patience": (
        changed("epochs = 3", "epochs = 3\npatience = 2"),
        'r.toml:38  train.patience  needs a figure to watch (train.select is "last"): set train.select, or patience = 0. '
        "Figures: judge.near",
    ),
    "patience without evaluators": (
        changed("epochs = 3", "epochs = 3\npatience = 2").replace('[[evaluate]]\nname = "judge"\n', ""),
        "Figures: none without an [[evaluate]]",
    ),
    "whitening without a projection": (
        GOOD + "[embedding]\ndim = 4\nwhitening = 0.5\n",
        "r.toml:44  embedding.whitening  is of the features before a projection: set projection = true, or whitening = 0",
    ),
    "whitening wholly": (
        GOOD + "[embedding]\ndim = 4\nwhitening = 1\n",
        "embedding.whitening  must be less than or equal to 0.99 (got 1)",
    ),
    "layer decay": (
        changed("epochs = 3", "epochs = 3\nlayer_decay = 1.1"),
        "train.layer_decay  must be less than or equal to 1 (got 1.1)",
    ),
    "calibration on val": (
        changed('name = "folder"', 'name = "folder"\ncalibration = "val"'),
        'data.calibration  must be a split of other people than "val": reports are on it; leave the key out to select',
    ),
    "calibration on train": (
        changed('name = "folder"', 'name = "folder"\ncalibration = "train"'),
        'data.calibration  must be a split of other people than "train": the model learns from it',
    ),
    "syntax": (changed("margin = 0.4", "margin = wide"), "r.toml:19  not TOML: "),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_has_its_message(name: str, tmp_path: Path) -> None:
    text, message = MISTAKES[name]
    found = problems(tmp_path, text)
    assert any(message in line for line in found), found
    assert not any("Input should" in line or "\n" in line for line in found)


def test_what_is_selected_is_told_beside_other_mistakes(tmp_path: Path) -> None:
    text = changed("margin = 0.4", "margn = 0.4").replace("epochs = 3", 'epochs = 3\nselect = "judge.rank1"')
    found = problems(tmp_path, text)
    assert len(found) == 2
    assert "train.select  no evaluator gives 'judge.rank1'." in found[1]


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(GOOD, encoding="utf-8-sig")
    assert load_recipe(tmp_path / "r.toml", (), KNOWN).digest == load(tmp_path, GOOD).digest


def test_a_broken_component_is_exit_4_and_joins_the_other_problems(tmp_path: Path) -> None:
    text = changed('name = "softmax"', 'name = "broken"')
    with pytest.raises(
        PluginError, match=r"r\.toml:22  loss\.broken\.name  loss 'broken' .*: cannot be imported"
    ) as caught:
        load(tmp_path, text)
    assert caught.value.exit_code == 4
    assert len(problems(tmp_path, text.replace("epochs = 3", "epochs = 0"))) == 2


def test_files_that_are_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "task.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(
        RecipeError, match=r"tsk\.toml: no such recipe\. Did you mean \"task\.toml\"\? Recipes in .*: task"
    ):
        load_recipe(tmp_path / "tsk.toml", (), KNOWN)
    with pytest.raises(RecipeError, match=r"task\.toml: not UTF-8 text \(byte 0\)"):
        load_recipe(tmp_path / "task.toml", (), KNOWN)
    with pytest.raises(RecipeError, match=r": a folder, not a recipe\. Recipes in .*: task\.toml"):
        load_recipe(tmp_path, (), KNOWN)


OVERRIDES = {
    "head.margin=0.1": changed("margin = 0.4", "margin = 0.1"),
    "loss.pairs.weight=0.2": changed("weight = 0.5", "weight = 0.2"),
    "backbone.model=resnet-18_x": changed('name = "net"', 'name = "net"\nmodel = "resnet-18_x"'),
    "data.root=/some where/else": changed('"photos"', '"/some where/else"'),
    "transform.spoil.distortions=['rainy']": changed('"foggy"', '"rainy"'),
    "embedding.dim=16": GOOD + "[embedding]\ndim = 16\n",
    'run.name="other"': changed('"try"', '"other"'),
}


@pytest.mark.parametrize("override", OVERRIDES)
def test_set_equals_editing_the_file(override: str, tmp_path: Path) -> None:
    assert load(tmp_path, GOOD, override) == load(tmp_path, OVERRIDES[override])
    assert load(tmp_path, GOOD, override).digest != load(tmp_path).digest


def test_a_date_and_a_wrong_distortion_hide_no_other_mistake(tmp_path: Path) -> None:
    text = changed(
        "epochs = 3\nbatch_size = 8", "epochs = 2020-01-01\nema = 2\nzzz = 12:00:00\nbatch_sise = [1979-05-27]"
    )
    names = "epochs, batch_size, precision, select, "
    found = problems(tmp_path, text.replace('"foggy",', '"foogy", 3, "rayny",'))
    assert [line.split(names)[0] for line in found] == [
        "r.toml:10  transform.spoil.distortions  must be text in quotes (got 3)",
        "r.toml:10  transform.spoil.distortions  unknown distortion 'foogy'. Did you mean \"foggy\"? "
        "There are: foggy, rainy",
        "r.toml:10  transform.spoil.distortions  unknown distortion 'rayny'. Did you mean \"rainy\"? "
        "There are: foggy, rainy",
        "r.toml:37  train.epochs  is or holds a date or time, which no parameter takes: put it in quotes",
        "r.toml:36  train.batch_size  is missing. Parameters: ",
        "r.toml:38  train.ema  must be less than 1 (got 2)",
        "r.toml:39  train.zzz  unknown key. Parameters: ",
        'r.toml:40  train.batch_sise  unknown key. Did you mean "batch_size"? Parameters: ',
    ]


TWICE = GOOD.replace(
    "[backbone]", '[[transform]]\nname = "spoil"\ndistortions = ["rainy"]\nprobability = 0.1\n\n[backbone]'
)


def test_the_second_of_a_name_is_reached_by_its_number(tmp_path: Path) -> None:
    assert load(tmp_path, TWICE, "transform.spoil-2.probability=0.7") == load(
        tmp_path, TWICE.replace("probability = 0.1", "probability = 0.7")
    )
    first = load(tmp_path, TWICE, "transform.spoil.probability=0.7").transforms
    assert [part.arguments["probability"] for part in first] == [0.7, 0.1]
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, TWICE, "transform.spoil-3.probability=0.7")
    assert str(caught.value).endswith(
        "transform 'spoil-3' is not in the recipe. Did you mean \"spoil-2\"? There are: spoil, spoil-2"
    )


def test_two_evaluators_of_one_name_are_selected_and_set_by_their_numbers(tmp_path: Path) -> None:
    text = GOOD + '[[evaluate]]\nname = "judge"\nstrict = true\n'
    sets = ("train.select=judge-2.near.rank1", "evaluate.judge.strict=true", "evaluate.judge-2.strict=false")
    recipe = load(tmp_path, text, *sets)
    assert recipe.train.select == "judge-2.near.rank1"
    arguments = {name: part.arguments for name, part in recipe.named_evaluators().items()}
    assert arguments == {"judge": {"strict": True}, "judge-2": {"strict": False}}


def test_the_key_of_every_message_is_one_that_set_takes(tmp_path: Path) -> None:
    text = TWICE.replace("probability = 0.1", 'probability = "often"').replace("weight = 0.5", 'mode = "hrd"')
    keys = [line.split("  ")[1] for line in problems(tmp_path, text)]
    assert keys == ["loss.pairs.mode", "transform.spoil-2.probability"]
    assert load(tmp_path, text, f"{keys[0]}=easy", f"{keys[1]}=0.1").losses[1].arguments["mode"] == "easy"


BAD_OVERRIDES = {
    "loss.pars.weight=1": "loss.pars.weight  loss 'pars' is not in the recipe. Did you mean \"pairs\"? "
    "There are: softmax, pairs",
    "head.margn=1": '--set head.margn=1  head.margn  unknown key. Did you mean "margin"? Parameters: scale, margin',
    "head.margin=far": "--set head.margin=far  head.margin  must be a number (got 'far')",
    "hed.margin=1": '--set hed.margin=1  hed  unknown section. Did you mean "head"?',
    "loss.contrastive.weight=1": "loss.contrastive.weight  loss 'contrastive' is not in the recipe. There are: softmax, pairs",
    "loss.pairs=1": "loss.pairs  loss 'pairs' needs a key after it",
    "margin": "margin  is not KEY=VALUE, for instance head.margin=0.4",
    "head.margin=[1": "head.margin  '[1' is not a TOML value",
    "head.margin.deep=1": "head.margin  is no table, so nothing in it can be set",
}


@pytest.mark.parametrize("override", BAD_OVERRIDES)
def test_a_wrong_set_is_located(override: str, tmp_path: Path) -> None:
    found = problems(tmp_path, GOOD, override)
    assert any(BAD_OVERRIDES[override] in line for line in found), found


quiet = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quiet
@given(
    margin=st.floats(allow_nan=False, allow_infinity=False),
    scale=st.floats(min_value=1e-300, allow_nan=False, allow_infinity=False),
    model=st.text(st.characters(exclude_categories=["Cs"])),
    sizes=st.lists(st.integers(-(2**53), 2**53)),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_resolved_recipe_loads_to_an_equal_one(tmp_path: Path, margin, scale, model, sizes, seed) -> None:
    import tomli_w

    table = tomllib.loads(GOOD)
    table["head"].update(margin=margin, scale=scale)
    table["backbone"].update(model=model, sizes=sizes)
    table["run"]["seed"] = seed
    first = load(tmp_path, tomli_w.dumps(table))
    second = load(tmp_path, first.to_toml())
    assert first == second
    assert first.digest == second.digest
    assert second.to_toml() == first.to_toml()


noise = st.lists(st.sampled_from(["", "# [head]", "  # margin = 3", "\t"]), max_size=3)


@quiet
@given(data=st.data(), key=st.text(string.ascii_lowercase, min_size=3, max_size=12))
def test_an_unknown_key_is_reported_on_its_own_line(tmp_path: Path, data: st.DataObject, key: str) -> None:
    key = f"zz_{key}"
    rows: list[str] = []
    headers = [number for number, row in enumerate(GOOD.splitlines()) if row.startswith("[")]
    chosen = data.draw(st.sampled_from(headers))
    expected = 0
    for number, row in enumerate(GOOD.splitlines()):
        if row.startswith("[") or not row:
            rows.extend(data.draw(noise))
        rows.append(row)
        if number == chosen:
            rows.append(f'{key} = [\n  1, # "]"\n  2,\n]')
            expected = sum(line.count("\n") + 1 for line in rows) - 3
    section = GOOD.splitlines()[chosen].strip("[]")
    if GOOD.splitlines()[chosen].startswith("[["):  # an element is called by its name, in the row below
        section += "." + GOOD.splitlines()[chosen + 1].split('"')[1]
    (found,) = problems(tmp_path, "\n".join(rows))
    assert found.startswith(f"r.toml:{expected}  {section}.{key}  unknown key.")
