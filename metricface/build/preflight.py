"""What is checked of the data before any training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from metricface.components.registry import Registries
from metricface.contracts import Dataset, Evaluator, HasMetricsOn, HasOtherSplits
from metricface.data.person_names import composed
from metricface.errors import DataError, RecipeError, counted
from metricface.recipe.rebalancing import stacks
from metricface.recipe.schema import Recipe

_NAMED = 3
_ALL_LISTED = 6


def check_people_apart(splits: Mapping[str, Dataset]) -> None:
    """Refuse people who stand in more than one split: the figures would be of people that the model was trained on.

    Args:
        splits: split name -> dataset, for instance {"train": ..., "val": ...}.

    Raises:
        DataError: names the splits and a few of the people; two spellings of one name in Unicode are one person.
    """
    seen: dict[str, str] = {}
    for split, dataset in splits.items():
        people = sorted({composed(item.identity) for item in dataset.items if item.identity})
        twice = [person for person in people if person in seen]
        if twice:
            named = ", ".join(twice[:_NAMED]) + (f" and {len(twice) - _NAMED} more" * (len(twice) > _NAMED))
            raise DataError(
                f"data: {counted(len(twice), 'person is', 'people are')} in both {seen[twice[0]]} and {split} "
                f"({named}), so {split} would not "
                "measure people never trained on. Keep each person in one split."
            )
        seen.update(dict.fromkeys(people, split))


def people_alike(splits: Mapping[str, Dataset]) -> list[str]:
    """Return a notice where names of people differ in case, or in how Unicode spells them, alone."""
    alike: dict[str, set[str]] = {}
    for dataset in splits.values():
        for name in {item.identity for item in dataset.items if item.identity}:
            alike.setdefault(composed(name).casefold(), set()).add(name)
    pairs = sorted(sorted(names) for names in alike.values() if len(names) > 1)
    if not pairs:
        return []
    named = ", ".join(" and ".join(map(ascii, names)) for names in pairs[:_NAMED])
    more = f" and {len(pairs) - _NAMED} more" if len(pairs) > _NAMED else ""
    return [
        f"data: names that differ in case or in the spelling of an accent alone are taken for different people "
        f"({named}{more}). Give one person one name."
    ]


def unread_splits(splits: Iterable[Dataset], read: Collection[str]) -> list[str]:
    """Return a notice of what stands in other splits than those that are read."""
    told = [dataset.other_splits(read) for dataset in splits if isinstance(dataset, HasOtherSplits)]
    return [notice for notice in dict.fromkeys(told) if notice]


def check_classes_left(train: Dataset) -> None:
    """Refuse a class of which no photo is left to learn from, after the unreadable ones were left out.

    Raises:
        DataError: names the class.
    """
    counts = Counter(item.label for item in train.items)
    gone = [name for label, name in enumerate(train.label_names) if not counts[label]]
    if gone:
        raise DataError(
            f"data: no photo of {gone[0]!r} in train can be read, so it cannot be learnt. Fix or replace its photos."
        )


def check_selected(recipe: Recipe, evaluators: Mapping[str, Evaluator], split: str, dataset: Dataset) -> None:
    """Refuse to select the best epoch by a figure that the photos it is computed on cannot give.

    Args:
        recipe: whose `train.select` is looked at.
        evaluators: by `Recipe.named_evaluators`.
        split: name of the split that the figure is computed on.
        dataset: its photos.

    Raises:
        RecipeError: names the figures that there are.
    """
    given = {
        name: [f"{name}.{metric}" for metric in evaluator.metrics_on(dataset)]
        for name, evaluator in evaluators.items()
        if isinstance(evaluator, HasMetricsOn)
    }
    select = recipe.train.select
    asked = max((name for name in evaluators if select.startswith(f"{name}.")), key=len, default="")
    if asked in given and select not in given[asked]:
        raise RecipeError(
            f"train.select: the photos of {split} give no {select!r}. "
            f"They give: {', '.join(given[asked]) or 'no such figure'}. Set train.select to one that they give, or "
            'to "last" with train.patience = 0.'
        )


def effective_priors(recipe: Recipe, registries: Registries, train: Dataset) -> list[str]:
    """Return a line for every two corrections for imbalance that stack: the prior of the classes that is left.

    Args:
        recipe: whose sampler and losses are looked at, see `rebalancing.stacks`.
        registries: kind -> registry.
        train: the photos that are trained on.
    """
    counter = Counter(item.label for item in train.items)
    counts = [counter[label] for label in range(len(train.label_names))]
    labels = list(range(len(counts)))
    if len(counts) > _ALL_LISTED:
        labels = [counts.index(min(counts)), counts.index(max(counts))]
    lines = []
    for stack in stacks(recipe, registries):
        prior = stack.prior(counts)
        shares = ", ".join(
            f"{train.label_names[label]} {prior[label]:.1%} (of the photos {counts[label] / len(train):.1%})"
            for label in labels
        )
        lines.append(
            f"effective prior of loss {stack.loss} ({stack.weighed.setting}) with sampler {stack.sampler} "
            f"({stack.drawn.setting}): {shares}"
        )
    return lines
