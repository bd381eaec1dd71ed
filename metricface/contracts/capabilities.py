"""What a component may offer besides its contract; every optional part is a protocol here, asked for by isinstance."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from metricface.contracts.components import Dataset


@runtime_checkable
class HasParameterGroups(Protocol):
    """Optional on backbones, heads and losses: their own optimizer groups instead of the default ones."""

    def parameter_groups(self) -> Iterable[dict[str, Any]]: ...


@runtime_checkable
class HasParameterStages(Protocol):
    """Optional on backbones: the stages that `train.frozen_stages` and `train.layer_decay` count.

    `parameter_stages` gives the names of the backbone's parameters (those of `named_parameters()`) stage by stage,
    from the stem to the last one. A parameter in no stage is never frozen and counts to the last one.
    """

    def parameter_stages(self) -> Sequence[Sequence[str]]: ...


@runtime_checkable
class HasNoWeightDecay(Protocol):
    """Optional on backbones, heads and losses without `parameter_groups`: what weight decay must leave alone.

    `no_weight_decay` gives names of the part's parameters (those of `named_parameters()`), for instance of position
    embeddings. One-dimensional parameters never decay and need no naming. A name that it does not have says nothing,
    as with the method that models of timm have under this name.
    """

    def no_weight_decay(self) -> Collection[str]: ...


@runtime_checkable
class HasImageSize(Protocol):
    """Optional on backbones: the side length of photos, in pixels, where the recipe does not say `data.image_size`.

    `usual_image_size` is asked before anything is made, with the recipe's checked arguments; None has no preference.
    """

    @staticmethod
    def usual_image_size(arguments: Mapping[str, Any]) -> int | None: ...


@runtime_checkable
class HasStoredArguments(Protocol):
    """Optional on backbones: arguments that a model folder keeps in place of the recipe's.

    For those that name what may not be in reach when the model is used, such as a description on the hub.
    """

    def stored_arguments(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Rebalancing:
    """How a sampler or loss moves the prior of the classes: one of n photos weighs n ** -power times its own weight.

    Args:
        setting: what does it, as the recipe says it: 'pos_weight = "balanced"'.
        power: 0 leaves the prior as the photos have it, 1 makes all classes equally common.
        weights: a factor for each class on top, in label order; () for none.
    """

    setting: str
    power: float = 0.0
    weights: tuple[float, ...] = ()


@runtime_checkable
class HasRebalancing(Protocol):
    """Optional on samplers and losses that can correct for imbalance: two such corrections in a recipe are pointed out.

    `rebalances` is asked before anything is made, with the recipe's checked arguments; None says that they leave the
    prior alone.
    """

    @staticmethod
    def rebalances(arguments: Mapping[str, Any]) -> Rebalancing | None: ...


@runtime_checkable
class HasNotices(Protocol):
    """Optional on backbones, samplers and datasets: one-line remarks for the user; empty when all is well."""

    notices: Sequence[str]


@runtime_checkable
class MakesConditions(Protocol):
    """Optional on transforms: the names of the conditions that they can produce."""

    makes: Sequence[str]


@runtime_checkable
class HasConsumes(Protocol):
    """On losses that are classes: "logits" or "embeddings". A factory function has none and counts as the latter."""

    consumes: Literal["logits", "embeddings"]


@runtime_checkable
class HasUsesPairs(Protocol):
    """Optional on losses: whether they look at a miner's pairs, or a static method: checked arguments -> bool."""

    uses_pairs: bool | Callable[[Mapping[str, Any]], bool]


@runtime_checkable
class HasCautions(Protocol):
    """Optional on losses: what in a recipe's checked arguments works, and is hardly meant, as lines for the user.

    `cautions` is asked before anything is made, and takes no longer than a check may.
    """

    @staticmethod
    def cautions(arguments: Mapping[str, Any]) -> Sequence[str]: ...


@runtime_checkable
class HasRefusals(Protocol):
    """Optional on every component of a recipe: what cannot work, found without data, so that `check` can tell it.

    `refusals` is asked before anything is made, with the recipe's checked arguments and its `train.batch_size`. It
    gives what is wrong and the way out for each key that is wrong: a parameter's name, or "batch_size".
    """

    @staticmethod
    def refusals(arguments: Mapping[str, Any], batch_size: int) -> Mapping[str, str]: ...


@runtime_checkable
class HasOtherSplits(Protocol):
    """Optional on datasets: a notice of what there is in splits besides those that are read, "" for nothing."""

    def other_splits(self, read: Collection[str]) -> str: ...


@runtime_checkable
class HasSizeRefusals(Protocol):
    """Optional on backbones and transforms: what cannot work on photos of one size, so that `check` can tell it.

    `size_refusals` is asked before anything is made, with the recipe's checked arguments and the side length of the
    photos in pixels. It gives what is wrong and the way out for each key that is wrong: a parameter's name, or
    "image_size".
    """

    @staticmethod
    def size_refusals(arguments: Mapping[str, Any], image_size: int) -> Mapping[str, str]: ...


@runtime_checkable
class HasNeeds(Protocol):
    """On evaluators that are classes: what of a subject they use."""

    needs: frozenset[str]


@runtime_checkable
class HasMetrics(Protocol):
    """On evaluators that are classes: the figures that `train.select` may point at."""

    metrics: Sequence[str]


@runtime_checkable
class HasMetricsOn(Protocol):
    """Optional on evaluators: which of their `metrics` a split gives, so that `train.select` names none that is not.

    `metrics_on` is asked before any training, after `check`; all of them are expected of an evaluator without it.
    """

    def metrics_on(self, dataset: Dataset) -> Sequence[str]: ...


@runtime_checkable
class HasState(Protocol):
    """Optional on heads, losses and miners: what a checkpoint keeps of them, tensors and plain values."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, saved: Any) -> Any: ...


@runtime_checkable
class HasExemptions(Protocol):
    """Optional on components: name of a conformance check -> why it cannot hold for this one."""

    conformance_exempt: Mapping[str, str]


@runtime_checkable
class HasForward(Protocol):
    """On components that are torch modules: what a call of them runs."""

    forward: Callable[..., Any]


def photo_facts_of(part: object) -> tuple[str, ...]:
    """Return what a head or miner asks to be told of the photos of a batch, "conditions", "indices" or both.

    It asks by naming them as parameters of its forward or, where it is no torch module, of its call.
    """
    call = part.forward if isinstance(part, HasForward) else part
    if not callable(call):
        return ()
    try:
        asked = inspect.signature(call).parameters
    except (TypeError, ValueError):  # a compiled one that does not say what it takes
        return ()
    return tuple(name for name in ("conditions", "indices") if name in asked)


def notices_of(part: object) -> Sequence[str]:
    """Return what a part has to tell the user, nothing for one without notices."""
    return part.notices if isinstance(part, HasNotices) else ()


def wants_logits(evaluator: object) -> bool:
    """Whether an evaluator, or its class, needs a head besides the model."""
    return isinstance(evaluator, HasNeeds) and "logits" in evaluator.needs
