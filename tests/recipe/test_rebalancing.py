"""Two corrections for imbalance in one recipe: pointed out by check, by run and in its record; never refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.installed import install, installing
from support.task_a_tree import RECIPE, make_tree, write_recipe
from typer.testing import CliRunner, Result

from metricface.build.preflight import effective_priors
from metricface.cli.app import app
from metricface.components.registry import Registry, installed_registries
from metricface.contracts import KINDS, HasRebalancing
from metricface.errors import PluginError
from metricface.recipe.load import load_recipe
from metricface.recipe.rebalancing import stacks

BALANCED = ("sampler.name=class-balanced",)
SOFTMAX = RECIPE.replace('"bce"', '"cross-entropy"').replace("binary = true", "binary = false")
FOCAL = RECIPE.replace('"bce"', '"focal"')
PEOPLE = RECIPE.replace('"bce"', '"cross-entropy"\nlogit_adjustment = 1.0').replace('"shuffled"', '"identity-balanced"')


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def notices(folder: Path, *overrides: str, text: str = RECIPE) -> tuple[str, ...]:
    return load_recipe(write_recipe(folder, folder, text), overrides).notices


class Photos:
    """`counts` photos of each class."""

    def __init__(self, counts: list[int]) -> None:
        self.labels = np.repeat(np.arange(len(counts)), counts)
        self.items = [type("Item", (), {"label": int(label)}) for label in self.labels]
        self.label_names = tuple(f"c{label}" for label in range(len(counts)))

    def __len__(self) -> int:
        return len(self.labels)


@pytest.mark.parametrize(
    ("text", "overrides", "setting", "effect"),
    [
        (
            RECIPE,
            ("loss.bce.pos_weight=balanced",),
            'pos_weight = "balanced"',
            "a class of n photos weighs as n ** -1 (5 : 1 photos as 1 : 5)",
        ),
        (
            RECIPE,
            ("loss.bce.pos_weight=3",),
            "pos_weight = 3.0",
            "all classes weigh the same, times 1 (label 0), 3 (label 1)",
        ),
        (
            RECIPE,
            ("loss.bce.logit_adjustment=0.5", "loss.bce.pos_weight=2"),
            "pos_weight = 2.0 with logit_adjustment = 0.5",
            "a class of n photos weighs as n ** -0.5 (5 : 1 photos as 1 : 2.24), times 1 (label 0), 2 (label 1)",
        ),
        (SOFTMAX, ("loss.cross-entropy.logit_adjustment=1",), "logit_adjustment = 1.0", "a class of n photos weighs"),
        (FOCAL, ("loss.focal.alpha=balanced",), 'alpha = "balanced"', "a class of n photos weighs as n ** -1 "),
        (
            FOCAL,
            ("loss.focal.alpha=0.25",),
            "alpha = 0.25",
            "all classes weigh the same, times 0.75 (label 0), 0.25 (label 1)",
        ),
        (
            RECIPE,
            ("loss.bce.pos_weight=balanced", "sampler.power=0.5"),
            'pos_weight = "balanced"',
            "a class of n photos weighs as n ** -0.5 (5 : 1 photos as 1 : 2.24)",
        ),
        (
            RECIPE,
            ("loss.bce.logit_adjustment=0.2", "sampler.power=0.5"),
            "logit_adjustment = 0.2",
            "a class of n photos weighs as n ** 0.3 (5 : 1 photos as 1.62 : 1)",
        ),
        (
            RECIPE,
            ("loss.bce.logit_adjustment=0.5", "sampler.power=0.5"),
            "logit_adjustment = 0.5",
            "all classes weigh the same.",
        ),
    ],
)
def test_a_second_correction_is_warned_of_with_the_effective_prior(
    text: str, overrides: tuple[str, ...], setting: str, effect: str, tmp_path: Path
) -> None:
    (notice,) = notices(tmp_path, *BALANCED, *overrides, text=text)
    loss = text.split('[[loss]]\nname = "')[1].split('"')[0]
    where = f"{tmp_path / 'tiny_a.toml'}:20  loss.{loss}"
    assert notice.startswith(f"{where}  {setting} corrects for imbalance, and so does the ")
    assert f"the two stack. Effective prior: {effect}" in notice
    assert notice.endswith(". Leave one of them out, unless you mean both.")


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        (RECIPE, BALANCED),
        (RECIPE, ("loss.bce.pos_weight=balanced",)),
        (RECIPE, (*BALANCED, "sampler.power=0", "loss.bce.pos_weight=balanced")),
        (RECIPE, (*BALANCED, "loss.bce.weight=0", "loss.bce.pos_weight=balanced")),
        (SOFTMAX, (*BALANCED, "loss.cross-entropy.label_smoothing=0.1")),
        (FOCAL, (*BALANCED, "loss.focal.gamma=1")),
        (FOCAL, (*BALANCED, "loss.focal.alpha=0.5")),
    ],
)
def test_one_correction_or_none_is_nothing_to_warn_of(text: str, overrides: tuple[str, ...], tmp_path: Path) -> None:
    assert notices(tmp_path, *overrides, text=text) == ()


def test_people_drawn_equally_often_are_a_correction_too(tmp_path: Path) -> None:
    (notice,) = notices(tmp_path, text=PEOPLE)
    assert "so does the sampler 'identity-balanced' (all people equally often)" in notice


@pytest.mark.parametrize("counts", [[100, 500], [30, 10]])
@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        (RECIPE, ("loss.bce.pos_weight=balanced",)),
        (RECIPE, ("loss.bce.pos_weight=3", "sampler.power=0.3")),
        (FOCAL, ("loss.focal.alpha=balanced", "sampler.power=0.5")),
        (FOCAL, ("loss.focal.alpha=0.2",)),
    ],
)
def test_the_prior_is_that_of_the_weight_of_all_draws(
    text: str, overrides: tuple[str, ...], counts: list[int], tmp_path: Path
) -> None:
    """Draw epochs with the sampler itself and weigh every draw as the loss does, measured by its gradient at 0."""
    import torch

    from metricface.build import components as make
    from metricface.contracts import LossInput

    known = installed_registries()
    recipe = load_recipe(write_recipe(tmp_path, tmp_path, text), (*BALANCED, *overrides), known)
    photos = Photos(counts)
    sampler = make.component(known, recipe.sampler, labels=photos.labels, batch_size=20, seed=0)
    loss = make.component(known, recipe.losses[0], class_counts=np.array(counts))
    drawn = [index for epoch in range(20) for batch in sampler.batches(epoch) for index in batch]
    labels = torch.from_numpy(photos.labels[drawn])
    logits = torch.zeros(len(labels), 1, requires_grad=True)
    loss(LossInput(logits, labels, logits, labels)).backward()
    weights = logits.grad[:, 0].abs().numpy()
    expected = np.bincount(labels.numpy(), weights=weights) / weights.sum()
    (stack,) = stacks(recipe, known)
    assert stack.prior(counts) == pytest.approx(expected, abs=0.01)
    (line,) = effective_priors(recipe, known, photos)
    assert line.endswith(
        f"c0 {stack.prior(counts)[0]:.1%} (of the photos {counts[0] / sum(counts):.1%}), "
        f"c1 {stack.prior(counts)[1]:.1%} (of the photos {counts[1] / sum(counts):.1%})"
    )


def test_logit_adjustment_under_a_balanced_sampler_aims_at_the_prior_that_is_told(tmp_path: Path) -> None:
    """At the minimum of the loss over balanced draws, a logit that knows nothing is the log-odds of that prior."""
    import torch

    from metricface.build import components as make
    from metricface.contracts import LossInput

    known, counts = installed_registries(), [100, 500]
    recipe = load_recipe(write_recipe(tmp_path, tmp_path), (*BALANCED, "loss.bce.logit_adjustment=0.7"), known)
    loss = make.component(known, recipe.losses[0], class_counts=np.array(counts))
    logit, labels = torch.zeros(1, requires_grad=True), torch.tensor([0, 1])
    optimizer = torch.optim.LBFGS([logit], max_iter=100)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        logits = logit.expand(2)[:, None]
        value = loss(LossInput(logits, labels, logits, labels))
        value.backward()
        return value

    optimizer.step(closure)
    prior = stacks(recipe, known)[0].prior(counts)
    assert logit.item() == pytest.approx(np.log(prior[1] / prior[0]), abs=1e-3)


def test_of_many_classes_the_rarest_and_the_most_frequent_are_told(tmp_path: Path) -> None:
    known = installed_registries()
    text = SOFTMAX.replace('"cross-entropy"', '"cross-entropy"\nlogit_adjustment = 1.0')
    recipe = load_recipe(write_recipe(tmp_path, tmp_path, text), BALANCED, known)
    (line,) = effective_priors(recipe, known, Photos([3, 3, 1, 3, 3, 3, 9, 3]))
    assert line == (
        "effective prior of loss cross-entropy (logit_adjustment = 1.0) with sampler class-balanced (power = 1.0): "
        "c2 32.1% (of the photos 3.6%), c6 3.6% (of the photos 32.1%)"
    )


def test_a_class_without_a_photo_has_no_share(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path, tmp_path), (*BALANCED, "loss.bce.pos_weight=balanced"))
    assert stacks(recipe, installed_registries())[0].prior([4, 0]) == [1.0, 0.0]


def test_check_run_and_the_record_say_it(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, make_tree(tmp_path / "tree"))
    stacked = ("--set", "sampler.name=class-balanced", "--set", "loss.bce.pos_weight=balanced")
    done = metricface("check", recipe, *stacked)
    assert done.exit_code == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        f'warning: {recipe}:20  loss.bce  pos_weight = "balanced" corrects for imbalance, and so does'
    )
    assert "good (7 components" in done.stdout
    done = metricface("run", recipe, *stacked, "--set", "train.epochs=1", "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    prior = (
        'effective prior of loss bce (pos_weight = "balanced") with sampler class-balanced (power = 1.0): '
        "male 14.3% (of the photos 85.7%), female 85.7% (of the photos 14.3%)"
    )
    for name in ("run.json", "report.json"):
        kept = json.loads((tmp_path / "run" / name).read_text())["notices"]
        assert (sum("the two stack" in notice for notice in kept), kept.count(prior)) == (1, 1)
    assert done.stderr.count(prior) == 1


PLUGIN = '''
from metricface.contracts import Rebalancing


class Doubling:
    """Every photo of label 1 twice."""

    def __init__(self, *, labels: list, times: int = 2) -> None: ...
    def __len__(self) -> int: ...
    def batches(self, epoch: int): ...

    @staticmethod
    def rebalances(arguments):
        return Rebalancing(f"times = {arguments['times']}", weights=(1.0, arguments["times"]))


class Spoilt(Doubling):
    @staticmethod
    def rebalances(arguments):
        return arguments["tims"]
'''


def test_plugins_take_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"doubling": "doubling:Doubling", "spoilt": "doubling:Spoilt"}
    install(tmp_path / "site", "doubling", {"doubling": PLUGIN}, {"metricface.samplers": names})
    installing(monkeypatch, tmp_path / "site")
    (notice,) = notices(tmp_path, "sampler.name=doubling", "sampler.times=3", "loss.bce.pos_weight=balanced")
    assert "Effective prior: all classes weigh the same, times 1 (label 0), 3 (label 1)" in notice
    message = r"^sampler 'spoilt' of doubling 1\.0: rebalances\(\) failed \(KeyError: 'tims'\)\. Fix or uninstall doub"
    with pytest.raises(PluginError, match=message):
        notices(tmp_path, "sampler.name=spoilt")


def test_those_that_can_correct_say_so() -> None:
    found = {
        f"{kind} {name}"
        for kind in ("loss", "sampler")
        for name in Registry(KINDS[kind]).names()
        if isinstance(Registry(KINDS[kind]).load(name), HasRebalancing)
    }
    assert found >= {"loss bce", "loss cross-entropy", "loss focal", "sampler class-balanced"}
