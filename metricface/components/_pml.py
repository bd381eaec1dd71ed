"""pytorch-metric-learning by name: which of its classes a recipe may name, what they take, and making them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from types import ModuleType
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le, Unit
from pytorch_metric_learning import distances, losses, miners, reducers, regularizers
from torch import nn

from metricface.contracts import KeysOf
from metricface.errors import MetricFaceError, RecipeError, TrainingError

_BASE = "is a base class of the library's own"

EXCLUDED: Mapping[str, str] = {
    "BaseLossWrapper": _BASE,
    "BaseMetricLossFunction": _BASE,
    "EmbeddingRegularizerMixin": _BASE,
    "GenericPairLoss": _BASE,
    "WeightRegularizerMixin": _BASE,
    "CrossBatchMemory": "stands around another loss: name that one and set memory_size",
    "MultipleLosses": "is a sum of losses: write a [[loss]] for each of them",
    "DynamicSoftMarginLoss": "fails from the second step on (its histogram holds on to the batches before)",
    "ManifoldLoss": "takes no labels: it draws photos to proxies at random, whoever is on them",
    "SelfSupervisedLoss": "takes no labels: it wants two views of every photo, in two batches",
    "VICRegLoss": "takes no labels: it wants two views of every photo, in two batches",
    "BaseMiner": _BASE,
    "EmbeddingsAlreadyPackagedAsTriplets": "wants anchor, positive, negative in turn, and no sampler deals them so",
    "BaseDistance": _BASE,
    "BatchedDistance": "hands the distances to a function of yours, which no recipe can hold",
    "BaseReducer": _BASE,
    "DoNothingReducer": "leaves the costs as they are, and training needs one number",
    "MultipleReducers": "is what the library makes itself where a loss has several parts: name one reducer for all",
    "BaseRegularizer": _BASE,
}

# Every loss takes a miner's pairs but these, which raise an error over them.
WITHOUT_PAIRS = frozenset({"InstanceLoss", "P2SGradLoss", "PNPLoss", "RankedListLoss"})

FILLED = frozenset({"descriptors_dim", "embedding_size", "num_classes"})
# Functions, what a subclass has settled, and figures that nobody would read.
_NOT_FOR_RECIPES = frozenset({"aggregation_func", "collect_stats", "is_inverted", "mat_based_loss", "weight_init_func"})
_SETTLED = {
    "AvgNonZeroReducer": {"low"},
    "BatchHardMiner": {"pos_strategy", "neg_strategy"},
    "CosineSimilarity": {"normalize_embeddings"},
}

# Classes that make a parameter for each class of the data as soon as they know `num_classes`: a recipe asks for that.
_PER_CLASS = {"MarginLoss": "beta_per_class"}

_Count = Annotated[int, Ge(1)]
_Degrees = Annotated[float, Unit("degrees")]
_Strategy = Literal["hard", "semihard", "easy", "all"]
# What the default of a parameter does not tell of its type.
_ANNOTATIONS: Mapping[str, Any] = {
    **dict.fromkeys(("centers_per_class", "n_bins", "neg_per_bin", "num_bins", "pos_per_bin", "sub_centers"), _Count),
    **dict.fromkeys(("allowed_neg_range", "allowed_pos_range"), tuple[float, float]),
    **dict.fromkeys(("neg_strategy", "pos_strategy"), _Strategy),
    "filter_percentage": Annotated[float, Gt(0), Le(1)],
    "triplets_per_anchor": _Count | Literal["all"],
    "type_of_triplets": Literal["all", "hard", "semihard", "easy"],
    "variant": Literal["Ds", "Dq", "Iu", "Ib", "O"],
    "weights": list[Annotated[float, Ge(0)]],
    "AngularLoss.alpha": _Degrees,
    "AngularMiner.angle": _Degrees,
    "ArcFaceLoss.margin": _Degrees,
    "LargeMarginSoftmaxLoss.margin": _Count,
    "SphereFaceLoss.margin": _Count,
    "SubCenterArcFaceLoss.margin": _Degrees,
    "TupletMarginLoss.margin": _Degrees,
}


def classes(module: ModuleType) -> dict[str, type[nn.Module]]:
    """Return name -> class of what a module of the library offers, what is excluded too."""
    return {
        name: value for name, value in vars(module).items() if isinstance(value, type) and issubclass(value, nn.Module)
    }


@cache
def signatures(module: ModuleType) -> Mapping[str, inspect.Signature]:
    """Return name -> what a recipe may set of every class of a module that it may name."""
    return {name: _signature(made) for name, made in sorted(classes(module).items()) if name not in EXCLUDED}


def make(keys: KeysOf, name: str, arguments: Mapping[str, Any], *, where: str, **filled: Any) -> nn.Module:
    """Return an object of a class of the library, and the objects that it takes with it.

    Args:
        keys: one of those of this module.
        name: of the class.
        arguments: of its constructor, without checks of type; tables stand for objects.
        where: what to call the component in an error.
        filled: values of FILLED, taken by those that ask for them.

    Raises:
        RecipeError: no recipe may name it, or it refuses its arguments.
    """
    known = keys.signatures()
    if name not in known:
        raise RecipeError(f"{where}: {keys.refusal(name)}")
    made = classes(_MODULES[keys.what])[name]
    given: dict[str, Any] = {key: value for key, value in filled.items() if key in _parameters(made)}
    per_class = _PER_CLASS.get(name, "")
    if per_class and not arguments.get(per_class, False):
        given.pop("num_classes", None)
    for key, value in arguments.items():
        if key == per_class:
            continue
        if key in TABLES and value is not None:
            given[key] = make_named(TABLES[key], value, where=where, **filled)
        else:
            given[key] = _class_weights(value, filled, where) if key == "weights" else value
    try:
        return made(**given)
    except Exception as error:
        shown = ", ".join(f"{key} = {value!r}" for key, value in arguments.items() if value is not None)
        raise RecipeError(
            f"{where}: {name} of pytorch-metric-learning refuses its arguments ({_one_line(error)}; got "
            f"{shown or 'none'}). Change them; metricface show {where} lists what there is."
        ) from error


def _class_weights(values: Sequence[float], filled: Mapping[str, Any], where: str) -> torch.Tensor:
    """Return the weights (C,) of the classes, refusing a number of them that would index past the end in training."""
    if len(values) != filled["num_classes"]:
        raise RecipeError(
            f"{where}: weights of ClassWeightedReducer must be one number for each of the {filled['num_classes']} "
            f"classes, in label order (got {len(values)})."
        )
    return torch.tensor(values)


def make_named(keys: KeysOf, table: Mapping[str, Any], *, where: str, **filled: Any) -> nn.Module:
    """Return what a table stands for whose `name` is the class and whose other keys are arguments (see `make`)."""
    rest = {key: value for key, value in table.items() if key != "name"}
    return make(keys, str(table.get("name", "")), rest, where=where, **filled)


@contextmanager
def failures(where: str, name: str, photos: int) -> Iterator[None]:
    """Turn what the library raises over a batch into a TrainingError; errors of our own pass."""
    try:
        yield
    except MetricFaceError:
        raise
    except Exception as error:
        raise TrainingError(
            f"{where}: {name} of pytorch-metric-learning cannot work on this batch of {photos} photos "
            f"({_one_line(error)}). Change its arguments, train.batch_size or the sampler."
        ) from error


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _signature(made: type[nn.Module]) -> inspect.Signature:
    """Return the parameters of a class that are for a recipe to set, keyword-only and annotated."""
    settled = FILLED | _NOT_FOR_RECIPES | _SETTLED.get(made.__name__, set())
    found = []
    for name, parameter in _parameters(made).items():
        if name not in settled:
            annotation, default = _annotation(made.__name__, parameter), parameter.default
            if type(default) is int and annotation is not _Count:
                default = float(default)  # written so into the resolved recipe, as a number of the user's is
            found.append(inspect.Parameter(name, parameter.KEYWORD_ONLY, default=default, annotation=annotation))
    if made.__name__ in _PER_CLASS:
        own = _PER_CLASS[made.__name__]
        found.append(inspect.Parameter(own, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=bool))
    return inspect.Signature(found)


def _parameters(made: type[nn.Module]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a constructor and of those that it hands its keywords on to."""
    found: dict[str, inspect.Parameter] = {}
    for base in made.__mro__[: made.__mro__.index(nn.Module)]:
        if "__init__" not in vars(base):
            continue
        asked = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        for parameter in asked:
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                found.setdefault(parameter.name, parameter)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in asked):
            break
    return found


def _annotation(owner: str, parameter: inspect.Parameter) -> Any:
    """Return a parameter's type: a table for an object of the library, what the facts above say, or its default's."""
    if parameter.name in TABLES:
        return Annotated[dict[str, Any] | None, TABLES[parameter.name]]
    known = _ANNOTATIONS.get(f"{owner}.{parameter.name}", _ANNOTATIONS.get(parameter.name))
    if known is None:
        known = type(parameter.default) if isinstance(parameter.default, bool | str) else float
    return known | None if parameter.default is None else known


LOSSES = KeysOf("loss", partial(signatures, losses), key="loss", refused=EXCLUDED, filled=FILLED)
MINERS = KeysOf("miner", partial(signatures, miners), key="miner", refused=EXCLUDED)
MEMORY_MINERS = KeysOf("miner", partial(signatures, miners), refused=EXCLUDED)
_DISTANCES = KeysOf("distance", partial(signatures, distances), refused=EXCLUDED)
_REDUCERS = KeysOf("reducer", partial(signatures, reducers), refused=EXCLUDED)
_REGULARIZERS = KeysOf("regularizer", partial(signatures, regularizers), refused=EXCLUDED, filled=FILLED)
TABLES = {
    "distance": _DISTANCES,
    "reducer": _REDUCERS,
    "embedding_regularizer": _REGULARIZERS,
    "weight_regularizer": _REGULARIZERS,
}
_MODULES = {
    "loss": losses,
    "miner": miners,
    "distance": distances,
    "reducer": reducers,
    "regularizer": regularizers,
}
