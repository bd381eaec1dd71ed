"""The conformance kit: whether a component does what the engine relies on, to be called from pytest or any script.

    from metricface.testing import check_loss

    def test_it_keeps_the_contract():
        check_loss(MyLoss, margin=0.3)

A component is a class or factory, and the arguments are those that a recipe would set; what `build` offers is made up
by the kit. What a component cannot do by its nature it declares with the reason, by the name of the check:

    conformance_exempt: ClassVar[Mapping[str, str]] = {"permutation": "the queue depends on the order of batches"}

`metricface plugin check` runs the same checks. torch is imported when a check runs, not before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metricface.components.registry import Factory
from metricface.testing.engine import Check, CheckResult, ConformanceError, Report
from metricface.testing.examine import examine

Outcome = CheckResult  # its name until 0.1.0, which tests of plugins import

__all__ = [
    "Check",
    "CheckResult",
    "ConformanceError",
    "Outcome",
    "Report",
    "check_backbone",
    "check_dataset",
    "check_distortion",
    "check_head",
    "check_index",
    "check_loss",
    "check_miner",
    "check_sampler",
    "check_tracker",
    "check_transform",
    "examine",
]


def check_loss(component: Factory, **arguments: Any) -> None:
    """Put a loss through every check of losses.

    Args:
        component: the class or factory.
        arguments: what a recipe would set.

    Raises:
        ConformanceError: lists every failed check, why it matters, and the smallest case that shows it.
        RecipeError: the arguments are not those that the component takes.
    """
    examine("loss", component, arguments).refuse()


def check_head(component: Factory, **arguments: Any) -> None:
    """Put a head through every check of heads; see `check_loss`."""
    examine("head", component, arguments).refuse()


def check_backbone(component: Factory, **arguments: Any) -> None:
    """Put a backbone through every check of backbones; see `check_loss`."""
    examine("backbone", component, arguments).refuse()


def check_sampler(component: Factory, **arguments: Any) -> None:
    """Put a sampler through every check of samplers; see `check_loss`."""
    examine("sampler", component, arguments).refuse()


def check_miner(component: Factory, **arguments: Any) -> None:
    """Put a miner through every check of miners; see `check_loss`."""
    examine("miner", component, arguments).refuse()


def check_transform(component: Factory, **arguments: Any) -> None:
    """Put a transform through every check of transforms; see `check_loss`."""
    examine("transform", component, arguments).refuse()


def check_distortion(component: Factory, **arguments: Any) -> None:
    """Put a distortion through every check of distortions; see `check_loss`."""
    examine("distortion", component, arguments).refuse()


def check_tracker(component: Factory, **arguments: Any) -> None:
    """Put a tracker through every check of trackers; see `check_loss`."""
    examine("tracker", component, arguments).refuse()


def check_index(component: Factory, **arguments: Any) -> None:
    """Put an index through every check of indexes; see `check_loss`."""
    examine("index", component, arguments).refuse()


def check_dataset(component: Factory, *, root: Path, **arguments: Any) -> None:
    """Put a dataset through every check of datasets; see `check_loss`.

    Args:
        component: the class or factory.
        root: a folder that it reads, with the splits train and val; nothing is written into it.
        arguments: what a recipe would set besides.
    """
    examine("dataset", component, arguments, root=root).refuse()
