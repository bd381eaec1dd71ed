"""Checks between the sections of a recipe, on the recipe alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metricface.components.registry import Registries
from metricface.contracts import HasCautions, HasConsumes, HasMetrics, HasUsesPairs, wants_logits
from metricface.errors import PluginError, nearest
from metricface.recipe.naming import by_element_name, element_names
from metricface.recipe.problems import Problems
from metricface.recipe.rebalancing import stacks
from metricface.recipe.refusals import size_refusals
from metricface.recipe.schema import ComponentSpec, Recipe, TrainSection


def lint(recipe: Recipe, registries: Registries, problems: Problems) -> None:
    """Add what does not fit together: losses and head, miner and losses, photos and their size, splits.

    Two corrections for imbalance, and what a loss doubts of its own arguments, are warned of, not refused: a method may
    mean it so.
    """
    losses: list[Any] = [registries["loss"].load(part.name) for part in recipe.losses]
    for place, message in size_refusals(recipe, registries):
        problems.add(place, message)
    _head(recipe, losses, problems)
    if recipe.miner is not None and not any(map(_uses_pairs, losses, recipe.losses)):
        problems.add(("miner",), "no loss of this recipe looks at pairs: take it out or add a pair loss")
    _logits(recipe, registries, problems)
    _whitening(recipe, problems)
    _batch_of_one(recipe, problems)
    _evaluators_once(recipe, problems)
    _calibration(recipe, problems)
    for stack in stacks(recipe, registries):
        problems.warn(("loss", stack.place), stack.warning())
    for number, (part, loss) in enumerate(zip(recipe.losses, losses, strict=True)):
        for caution in _cautions(loss, part):
            problems.warn(("loss", number), caution)


def _head(recipe: Recipe, losses: list[Any], problems: Problems) -> None:
    on_logits = [_wants_logits(loss) for loss in losses]
    for number, (part, wants) in enumerate(zip(recipe.losses, on_logits, strict=True)):
        if wants and recipe.head is None:
            problems.add(("loss", number, "name"), f"{part.name!r} needs the logits of a head: add a [head]")
    if recipe.head is not None and not any(on_logits):
        problems.add(("head",), 'no loss uses its logits: add a loss such as "cross-entropy", or take the head out')


def _logits(recipe: Recipe, registries: Registries, problems: Problems) -> None:
    """An evaluator that judges classes needs a head to give it logits, on the embeddings that it was trained on."""
    for number, part in enumerate(recipe.evaluators):
        if not wants_logits(registries["evaluator"].load(part.name)):
            continue
        if recipe.head is None:
            problems.add(("evaluate", number, "name"), f"{part.name!r} needs the logits of a head: add a [head]")
        if recipe.embedding is not None and recipe.embedding.projection:
            problems.add(
                ("embedding", "projection"),
                f"leaves no layer for the head whose logits {part.name!r} needs: take projection out",
            )


def _whitening(recipe: Recipe, problems: Problems) -> None:
    """Training does not whiten: a layer after it would meet other features in evaluation than it was trained on."""
    if recipe.embedding is not None and recipe.embedding.whitening and not recipe.embedding.projection:
        problems.add(
            ("embedding", "whitening"),
            "is of the features before a projection: set projection = true, or whitening = 0",
        )


def _batch_of_one(recipe: Recipe, problems: Problems) -> None:
    """The embedding layer ends in batch normalisation, which has nothing to compare a single photo with."""
    if recipe.embedding is not None and recipe.train.batch_size == 1:
        problems.add(
            ("train", "batch_size"),
            "1 is too few: [embedding] normalises over a batch. Take 2 or more",
        )


def _uses_pairs(loss: Any, part: ComponentSpec) -> bool:
    uses = loss.uses_pairs if isinstance(loss, HasUsesPairs) else not _wants_logits(loss)
    return bool(uses(part.arguments) if callable(uses) else uses)


def _cautions(loss: Any, part: ComponentSpec) -> list[str]:
    if not isinstance(loss, HasCautions):
        return []
    try:
        return list(loss.cautions(part.arguments))
    except Exception as error:
        raise PluginError(
            f"loss {part.name!r} of {part.distribution} {part.version}: cautions() failed "
            f"({type(error).__name__}: {error}). Fix or uninstall {part.distribution}."
        ) from error


def _wants_logits(loss: Any) -> bool:
    return isinstance(loss, HasConsumes) and loss.consumes == "logits"


def _evaluators_once(recipe: Recipe, problems: Problems) -> None:
    """Two evaluators of one name differ in their arguments, and what reports call them differs too."""
    parts = recipe.evaluators
    known = [(part.distribution, part.name.rpartition(":")[2], part.arguments) for part in parts]
    names = element_names([{"name": part.name} for part in parts])
    for number, (part, name) in enumerate(zip(parts, names, strict=True)):
        if known[number] in known[:number]:
            what = f"{part.name!r} stands there twice with the same arguments: take one out, or change it"
            problems.add(("evaluate", number, "name"), what)
        elif name in names[:number]:
            what = f'reports would call two evaluators {name!r}: write "{part.distribution}:{known[number][1]}" here'
            problems.add(("evaluate", number, "name"), what)


def _calibration(recipe: Recipe, problems: Problems) -> None:
    """Photos that the model learned from, or is judged on, say nothing about people that it never met."""
    split = recipe.data.calibration
    if split in ("train", "val"):
        why = "the model learns from it" if split == "train" else "reports are on it; leave the key out to select there"
        problems.add(("data", "calibration"), f'must be a split of other people than "{split}": {why}')


def check_selection(
    train: TrainSection, parts: Sequence[ComponentSpec], registries: Registries, problems: Problems
) -> None:
    """Add what is wrong with `train.select` and `train.patience`, given the evaluators of a recipe."""
    select = train.select
    evaluators: list[tuple[str, Any]] = [
        (name, registries["evaluator"].load(part.name)) for name, part in by_element_name(parts).items()
    ]
    allowed = [
        f"{name}.{figure}"
        for name, evaluator in evaluators
        if isinstance(evaluator, HasMetrics)
        for figure in evaluator.metrics
    ]
    if select != "last" and select not in allowed:
        listed = ", ".join(["last", *allowed])
        problems.add(
            ("train", "select"), f"no evaluator gives {select!r}.{nearest(select, allowed)} There are: {listed}"
        )
    if select == "last" and train.patience:
        listed = ", ".join(allowed) or "none without an [[evaluate]]"
        problems.add(
            ("train", "patience"),
            f'needs a figure to watch (train.select is "last"): set train.select, or patience = 0. Figures: {listed}',
        )
