"""The kinds of components: the whole surface that plugins can fill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of component: the whole of its plugin surface.

    Args:
        name: the word used on the command line, for instance "loss".
        plural: the word in the entry-point group, for instance "losses".
        methods: what a component, or what a factory function returns, must have.
        offered: the constructor parameters that build fills in; a recipe may not set them.
        section: the recipe's section, or None for a kind that other components name.
        repeats: the section is an array of tables.
    """

    name: str
    plural: str
    methods: tuple[str, ...]
    offered: frozenset[str] = frozenset()
    section: str | None = None
    repeats: bool = False

    @property
    def group(self) -> str:
        """The entry-point group, for instance "metricface.losses"."""
        return f"metricface.{self.plural}"


_HEAD_OFFERS = frozenset({"embedding_dim", "num_classes", "class_counts", "rank", "world_size"})

CHOSEN = frozenset({"distortions", "index", "indexes"})
"""Offered as objects of another kind, while a recipe says which: `distortions = ["foggy"]` (all when it is silent),
`index = { name = "hnsw" }`, `indexes = [{ name = "hnsw" }, { name = "sq8" }]`."""

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("backbone", "backbones", ("forward",), frozenset({"image_size"}), "backbone"),
        Kind("head", "heads", ("__call__",), _HEAD_OFFERS, "head"),
        Kind("loss", "losses", ("__call__",), _HEAD_OFFERS, "loss", repeats=True),
        Kind("miner", "miners", ("__call__",), section="miner"),
        Kind(
            "sampler",
            "samplers",
            ("__len__", "batches"),
            frozenset(
                {"dataset", "labels", "conditions", "condition_names", "batch_size", "seed", "rank", "world_size"}
            ),
            "sampler",
        ),
        Kind("dataset", "datasets", ("__len__", "read"), frozenset({"root", "split", "max_pixels"}), "data"),
        Kind(
            "transform",
            "transforms",
            ("__call__",),
            frozenset({"image_size", "mean", "std", "distortions"}),
            "transform",
            repeats=True,
        ),
        Kind("distortion", "distortions", ("__call__",)),
        Kind("optimizer", "optimizers", ("step",), frozenset({"parameter_groups"}), "optimizer"),
        Kind("schedule", "schedules", ("__call__",), frozenset({"total_steps"}), "schedule"),
        Kind(
            "evaluator",
            "evaluators",
            ("__call__", "check"),
            frozenset({"distortions", "class_names", "index", "indexes"}),
            "evaluate",
            repeats=True,
        ),
        Kind("tracker", "trackers", ("start", "log", "finish"), section="tracker", repeats=True),
        Kind("index", "indexes", ("add", "search"), frozenset({"dim"})),
    )
}
