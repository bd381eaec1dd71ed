"""Putting somebody's weights into a network: a prefix is taken off, a head is left out, anything else must fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from metricface.errors import ModelError

_COUNTS = ".num_batches_tracked"  # of batch normalisation; files from before it had them lack them, and torch fills in
_NAMED = 3


def load_weights(
    network: nn.Module,
    config: Mapping[str, Any],
    given: Mapping[str, Tensor],
    path: Path,
    way_out: str = "Set backbone.model to the one it was saved from.",
) -> str:
    """Fill a network from its weights and at most a classifier besides; return a remark on what was left out, or "".

    What wraps a network puts a prefix before its names ("module.", "_orig_mod.", "model.", "backbone.", ...). The one
    that makes most names fit is taken off, and what lies beside it, a head or a loss, is left out.

    Args:
        network: what to fill.
        config: timm's of the network: its `architecture` and the names of its `classifier`.
        given: name -> tensor, in the network's own names, all of them below one prefix or not.
        path: where they were read, for the message.
        way_out: what to do if they are of another depth or width, for the message.

    Raises:
        ModelError: names or shapes are those of another model, or the model is there more than once.
    """
    classifiers = config.get("classifier") or ()
    heads = tuple(f"{name}." for name in ([classifiers] if isinstance(classifiers, str) else classifiers))
    wanted, where = network.state_dict(), f"backbone.weights: {path}"
    prefix = _prefix(given, wanted, where)
    within = {name.removeprefix(prefix): tensor for name, tensor in given.items() if name.startswith(prefix)}
    weights = {name: tensor for name, tensor in within.items() if not name.startswith(heads)}
    if problems := _problems(weights, wanted):
        raise _another_model(weights, wanted, problems, where, config["architecture"], way_out)
    network.load_state_dict(weights)
    beside = [name for name in given if not name.startswith(prefix)]
    left = f", {len(beside)} beside it left out: {_first(beside)}" if beside else ""
    return f"without the prefix {prefix!r}{left}" if prefix else ""


def _prefix(given: Iterable[str], wanted: Mapping[str, Tensor], where: str) -> str:
    """Return what is to be taken off the names for most of them to be wanted ones, "" where nothing makes many so.

    Raises:
        ModelError: two prefixes do equally well, as of a student and its teacher.
    """
    names = list(given)
    fitting: Counter[str] = Counter()
    for name in names:
        prefixes = accumulate(f"{part}." for part in name.split(".")[:-1])
        fitting.update(prefix for prefix in ("", *prefixes) if name.removeprefix(prefix) in wanted)
    most = max(fitting.values(), default=0)
    best = [prefix for prefix, count in fitting.items() if count == most]
    if "" in best or not _many(most, names, wanted):
        return ""
    if len(best) > 1:
        if most < sum(not name.endswith(_COUNTS) for name in wanted):
            return ""  # parts of one model, named in several ways
        raise ModelError(
            f"{where} holds the model {len(best)} times, under {' and '.join(map(repr, best))}. "
            "Save the one that is meant alone."
        )
    return best[0]


def _many(fitting: int, given: Iterable[str], wanted: Mapping[str, Tensor]) -> bool:
    """Whether so many names in common are those of one way of naming."""
    return 2 * fitting >= min(len(list(given)), len(wanted))


def _problems(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Return what does not fit, each with its names and shapes."""
    shapes = {name: f"{name} {tuple(tensor.shape)}" for name, tensor in {**weights, **wanted}.items()}
    found = {
        "missing": [shapes[name] for name in wanted if name not in weights and not name.endswith(_COUNTS)],
        "unknown": [shapes[name] for name in weights if name not in wanted],
        "of another shape": [
            f"{name} {tuple(weights[name].shape)} for {tuple(wanted[name].shape)}"
            for name in wanted
            if name in weights and weights[name].shape != wanted[name].shape
        ],
    }
    return {what: names for what, names in found.items() if names}


def _another_model(
    weights: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    problems: Mapping[str, list[str]],
    where: str,
    architecture: str,
    way_out: str,
) -> ModelError:
    """Return the error for weights of another naming, another depth or another width."""
    listed = "; ".join(f"{len(names)} {what}: {_first(names)}" for what, names in problems.items())
    names = sum(name in wanted for name in weights)
    if _many(names, weights, wanted):
        other = "width" if problems.keys() == {"of another shape"} else "depth"
        return ModelError(
            f"{where} holds the weights of another model than {architecture}, of another {other} ({listed}). {way_out}"
        )
    there, here = (Counter(tuple(tensor.shape) for tensor in state.values()) for state in (weights, wanted))
    shapes = (there & here).total()
    return ModelError(
        f"{where} names its tensors otherwise than {architecture}: {names} of {len(wanted)} names and {shapes} of "
        f"{len(wanted)} shapes agree ({listed}). "
        "Give the tensors the names of that model, or take the backbone that they were saved from."
    )


def _first(names: Iterable[str]) -> str:
    """Return the first of some names in order."""
    ordered = sorted(names)
    return f"{', '.join(ordered[:_NAMED])}{', ...' * (len(ordered) > _NAMED)}"
