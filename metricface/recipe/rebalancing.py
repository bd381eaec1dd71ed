"""Corrections for imbalance that stack in a recipe, and the prior of the classes that is left of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from metricface.components.registry import Registries
from metricface.contracts import HasRebalancing, Rebalancing
from metricface.errors import PluginError
from metricface.recipe.schema import ComponentSpec, Recipe

_EXAMPLE = 5


@dataclass(frozen=True, slots=True)
class Stack:
    """A sampler and a loss that both correct for imbalance.

    Args:
        place: of the loss among the recipe's losses.
        sampler, loss: their names.
        drawn: what the sampler does.
        weighed: what the loss does.
    """

    place: int
    sampler: str
    loss: str
    drawn: Rebalancing
    weighed: Rebalancing

    @property
    def power(self) -> float:
        """A class of n photos weighs as n to this, before the weights."""
        return 1 - self.drawn.power - self.weighed.power

    def prior(self, counts: Sequence[int]) -> list[float]:
        """Return the share of each class that training sees, of its number of photos; a class without any has none."""
        weights = [count**self.power if count else 0.0 for count in counts]
        for given in (self.drawn.weights, self.weighed.weights):
            for label, factor in enumerate(given[: len(counts)]):
                weights[label] *= factor
        return [weight / sum(weights) for weight in weights]

    def warning(self) -> str:
        """Return what the two do together, as far as it follows from the recipe alone."""
        return (
            f"{self.weighed.setting} corrects for imbalance, and so does the sampler {self.sampler!r} "
            f"({self.drawn.setting}): the two stack. Effective prior: {self._effect()}. "
            "Leave one of them out, unless you mean both."
        )

    def _effect(self) -> str:
        effect = "all classes weigh the same"
        if round(self.power, 9):
            times = _EXAMPLE ** abs(self.power)
            left = f"1 : {times:.3g}" if self.power < 0 else f"{times:.3g} : 1"
            effect = f"a class of n photos weighs as n ** {self.power:.3g} ({_EXAMPLE} : 1 photos as {left})"
        for given in (self.drawn.weights, self.weighed.weights):
            listed = ", ".join(f"{factor:.3g} (label {label})" for label, factor in enumerate(given))
            effect += f", times {listed}" if given else ""
        return effect


def stacks(recipe: Recipe, registries: Registries) -> list[Stack]:
    """Return the sampler of a recipe with every loss of it, where both correct for imbalance.

    Raises:
        PluginError: a component's `rebalances` fails.
    """
    drawn = _rebalancing(recipe.sampler, registries)
    if drawn is None:
        return []
    found = [(place, part, _rebalancing(part, registries)) for place, part in enumerate(recipe.losses) if part.weight]
    return [
        Stack(place, recipe.sampler.name, part.name, drawn, weighed)
        for place, part, weighed in found
        if weighed is not None
    ]


def _rebalancing(part: ComponentSpec, registries: Registries) -> Rebalancing | None:
    component: Any = registries[part.kind].load(part.name)
    if not isinstance(component, HasRebalancing):
        return None
    try:
        return component.rebalances(part.arguments)
    except Exception as error:
        raise PluginError(
            f"{part.kind} {part.name!r} of {part.distribution} {part.version}: rebalances() failed "
            f"({type(error).__name__}: {error}). Fix or uninstall {part.distribution}."
        ) from error
