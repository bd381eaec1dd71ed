"""The sections of a recipe, checked and frozen."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from metricface.data.headers import MOST_PIXELS
from metricface.model.embedding_layer import EmbeddingSection
from metricface.recipe.naming import by_element_name


class Section(BaseModel):
    """What all sections share: unknown keys, wrong types, inf and nan are refused, and nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _folder_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ValueError(
            "must be usable as a folder name: letters, digits, '.', '_' and '-', beginning with a letter or digit"
        )
    return name


class RunSection(Section):
    """[run]: `name` of the run's folder, `seed` of everything random."""

    name: Annotated[str, AfterValidator(_folder_name)]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class DataSection(Section):
    """[data]: the engine's own keys; the others are the dataset's.

    Args:
        root: folder of the splits, relative to the working directory.
        image_size: side length in pixels that photos are resized to; when absent the backbone's own if it has one.
        crop: central share of each side that is kept before, in training and evaluation alike; 1 keeps all of it.
        cache_gib: memory for decoded photos, in GiB.
        max_pixels: a photo whose header says more is not decoded, and counts as unreadable.
        calibration: split of people in neither train nor val that `train.select` is computed on; val when absent.
    """

    root: Path
    image_size: Annotated[int, Field(ge=16, le=1024)] = 112
    crop: Annotated[float, Field(ge=0.1, le=1)] = 1.0
    cache_gib: Annotated[float, Field(ge=0)] = 2.0
    max_pixels: Annotated[int, Field(gt=0)] = MOST_PIXELS
    calibration: str | None = None


class TrainSection(Section):
    """[train].

    Args:
        epochs, batch_size: how long, and photos per step.
        precision: of the model's forward pass; bf16 is kept only where a check at the start finds it faster and right.
        select: "last", or the figure whose best epoch is kept: "identification.cross-source.rank1" (higher is better).
        patience: evaluations in a row without a better `select` figure after which training stops, 0 for never.
        backbone_lr: factor on the optimizer's learning rate for the backbone; embedding layer, head and losses keep it.
        layer_decay: factor on the learning rate from each stage of the backbone to the one below; the last has none.
        frozen_stages: how many of the backbone's first stages (the stem is one) are not trained; their batch
            normalisation keeps its statistics.
        gradient_clip: largest total gradient norm, 0 for no limit.
        ema: decay of the averaged weights, the head's too, that are evaluated and shipped, 0 for none.
        evaluate_every: epochs between evaluations.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        workers: processes that prepare batches; "auto" uses none on a CPU.
        threads: that torch computes with; "auto" leaves that to torch (`OMP_NUM_THREADS`, or a thread for each core).
            Another number changes the last digits of figures.
        recompute: compute what is inside the backbone's blocks again for the gradient in place of keeping it: less
            memory, more time, the same numbers.
    """

    epochs: Annotated[int, Field(gt=0)]
    batch_size: Annotated[int, Field(gt=0)]
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    select: str = "last"
    patience: Annotated[int, Field(ge=0)] = 0
    backbone_lr: Annotated[float, Field(gt=0)] = 1.0
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    frozen_stages: Annotated[int, Field(ge=0)] = 0
    gradient_clip: Annotated[float, Field(ge=0)] = 5.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    evaluate_every: Annotated[int, Field(gt=0)] = 1
    device: str = "auto"
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    threads: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = "auto"
    recompute: bool = False


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """One component of a recipe.

    Args:
        kind, name: what to look up.
        arguments: checked constructor arguments, defaults included.
        distribution, version: the package that brings it.
        weight: of a loss in the weighted sum.
    """

    kind: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    distribution: str = ""
    version: str = ""
    weight: float = 1.0

    def table(self) -> dict[str, Any]:
        """Return the component as a TOML table."""
        weight = {"weight": self.weight} if self.kind == "loss" else {}
        return {"name": self.name, **weight, **_plain(self.arguments)}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A checked recipe: every section with its defaults written in; `notices` are what lint warns of."""

    path: Path
    run: RunSection
    data: DataSection
    train: TrainSection
    dataset: ComponentSpec
    backbone: ComponentSpec
    sampler: ComponentSpec
    optimizer: ComponentSpec
    losses: tuple[ComponentSpec, ...]
    embedding: EmbeddingSection | None = None
    head: ComponentSpec | None = None
    miner: ComponentSpec | None = None
    schedule: ComponentSpec | None = None
    transforms: tuple[ComponentSpec, ...] = ()
    evaluators: tuple[ComponentSpec, ...] = ()
    trackers: tuple[ComponentSpec, ...] = ()
    notices: tuple[str, ...] = field(default=(), compare=False)

    def components(self) -> tuple[ComponentSpec, ...]:
        """Return every component, in the order of the sections."""
        single = (self.backbone, self.head, self.miner, self.sampler, self.optimizer, self.schedule)
        present = [part for part in single if part is not None]
        return (self.dataset, *self.transforms, *present, *self.losses, *self.evaluators, *self.trackers)

    def named_evaluators(self) -> dict[str, ComponentSpec]:
        """Return the evaluators by the names that reports and `--set` call them, in the recipe's order."""
        return by_element_name(self.evaluators)

    def named_trackers(self) -> dict[str, ComponentSpec]:
        """Return the trackers by the names that messages and `--set` call them, in the recipe's order."""
        return by_element_name(self.trackers)

    def document(self) -> dict[str, Any]:
        """Return the whole recipe as plain tables; keys without a value are left out."""
        tables: dict[str, Any] = {
            "run": _plain(self.run.model_dump()),
            "data": {**self.dataset.table(), **_plain(self.data.model_dump())},
            "transform": [part.table() for part in self.transforms],
            "backbone": self.backbone.table(),
            "embedding": self.embedding and _plain(asdict(self.embedding)),
            "head": self.head and self.head.table(),
            "loss": [part.table() for part in self.losses],
            "miner": self.miner and self.miner.table(),
            "sampler": self.sampler.table(),
            "optimizer": self.optimizer.table(),
            "schedule": self.schedule and self.schedule.table(),
            "train": _plain(self.train.model_dump()),
            "evaluate": [part.table() for part in self.evaluators],
            "tracker": [part.table() for part in self.trackers],
        }
        return {name: table for name, table in tables.items() if table}

    @property
    def digest(self) -> str:
        """The sha256 of the document: equal for recipes that do the same."""
        return tables_digest(self.document())

    def to_toml(self) -> str:
        """Return TOML that loads to an equal recipe."""
        return tomli_w.dumps(self.document(), multiline_strings=False)


def tables_digest(tables: Mapping[str, Any]) -> str:
    """Return the sha256 of a recipe's tables, in any order of keys. Trackers only look on: they do not count."""
    return hashlib.sha256(json.dumps(without_trackers(tables), sort_keys=True, default=str).encode()).hexdigest()


def without_trackers(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides on the training of a recipe's tables."""
    return {section: table for section, table in tables.items() if section != "tracker"}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return TOML values: paths as strings, tuples as lists, no None."""
    return {key: _plain_value(value) for key, value in values.items() if value is not None}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, list | tuple):
        return [_plain_value(element) for element in value]
    if isinstance(value, Mapping):
        return _plain(value)
    return value
