"""The contracts between the engine and its components. Nothing here imports torch or numpy at run time.

Shape letters used everywhere: B batch, C classes, D embedding dim, N items, P pairs, Q probes, G gallery,
K neighbours, H and W height and width of a photo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from metricface.errors import nearest

if TYPE_CHECKING:
    from inspect import Signature
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import Tensor

    from metricface.contracts.results import OperatingPoint, Result

    Image = npt.NDArray[np.uint8]  # (H, W, 3), RGB
    FloatArray = npt.NDArray[np.float32]
    IntArray = npt.NDArray[np.int64]

CLEAN = "clean"
ROLE, GALLERY, PROBE = "role", "gallery", "probe"  # of a photo, in Item.attributes; none is given by most datasets

Need = Literal["embeddings", "logits", "images"]


@dataclass(frozen=True, slots=True)
class Item:
    """What a dataset knows of one photo without opening it.

    Args:
        path: the file, for messages and reports.
        label: dense index into the dataset's `label_names`.
        condition: "clean" or the name of a distortion that the file already shows.
        severity: 1-5 when known, 0 for clean or unknown.
        source: a key of the clean photo that this one shows (its own key when it is clean), "" when unknown.
        identity: the person, when known; people must not stand in two splits.
        attributes: anything else, for instance {ROLE: GALLERY}.
    """

    path: Path
    label: int
    condition: str = CLEAN
    severity: int = 0
    source: str = ""
    identity: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class View:
    """A photo on its way through the transforms: `image` uint8 (H, W, 3) RGB and the condition that it shows."""

    image: Image
    condition: str = CLEAN
    severity: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """One training batch on one process.

    Args:
        images: (B, 3, H, W) float32, normalised with the backbone's mean and std.
        labels: (B,) int64.
        conditions: (B,) int64 index into the loader's `condition_names`; 0 is clean. Says what the transforms did.
        indices: (B,) int64 index into the dataset.
    """

    images: Tensor
    labels: Tensor
    conditions: Tensor
    indices: Tensor

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory (called by torch's DataLoader)."""
        return Batch(
            self.images.pin_memory(), self.labels.pin_memory(), self.conditions.pin_memory(), self.indices.pin_memory()
        )

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`, images in channels-last order there."""
        import torch

        return Batch(
            self.images.to(device, non_blocking=True, memory_format=torch.channels_last),
            self.labels.to(device, non_blocking=True),
            self.conditions.to(device, non_blocking=True),
            self.indices.to(device, non_blocking=True),
        )


@dataclass(frozen=True, slots=True)
class HeadOutput:
    """What a head makes of embeddings.

    Args:
        logits: (B, C') float32, scaled. C' is 1 for a binary head and may be a part of the classes for a sampled head.
        targets: (B,) int64, the column of each row's class; None when the head was called without labels.
        penalty: scalar added to the loss (MagFace), or None.
    """

    logits: Tensor
    targets: Tensor | None = None
    penalty: Tensor | None = None


@dataclass(frozen=True, slots=True)
class LossInput:
    """What every loss gets.

    Args:
        embeddings: (B, D) float32, not normalised.
        labels: (B,) int64.
        logits: (B, C') float32 of the head, or None without one.
        targets: (B,) int64 of the head, or None without one.
        pairs: a miner's choice as index tensors, in pytorch-metric-learning's order: (anchor, positive, anchor,
            negative) for pairs or (anchor, positive, negative) for triplets; None means all of them.
    """

    embeddings: Tensor
    labels: Tensor
    logits: Tensor | None = None
    targets: Tensor | None = None
    pairs: tuple[Tensor, ...] | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingSet:
    """Embeddings of N photos with all that evaluators know of them (numpy).

    Args:
        vectors: (N, D) float32, unit length.
        norms: (N,) float32, the lengths before normalisation.
        labels: (N,) int64 index into `label_names`.
        conditions: (N,) int64 index into `condition_names`; 0 is clean.
        severities: (N,) int64, 0 for clean or unknown.
        sources: (N,) str, the key of the clean photo that each shows, "" when unknown.
        paths: (N,) str.
        label_names, condition_names: the names behind the indices.
        attributes: name -> (N,) str.
    """

    vectors: FloatArray
    norms: FloatArray
    labels: IntArray
    conditions: IntArray
    severities: IntArray
    sources: npt.NDArray[np.str_]
    paths: npt.NDArray[np.str_]
    label_names: tuple[str, ...]
    condition_names: tuple[str, ...]
    attributes: Mapping[str, npt.NDArray[np.str_]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Predictions:
    """Logits of N photos: `logits` (N, C') float32, `labels` (N,) int64, and the names of the classes."""

    logits: FloatArray
    labels: IntArray
    label_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a backbone wants to see: RGB mean and std in [0, 1] and its usual side length in pixels."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    image_size: int


class Backbone(Protocol):
    """(B, 3, H, W) -> features (B, feature_dim). A torch module."""

    feature_dim: int
    input_spec: InputSpec

    def forward(self, images: Tensor) -> Tensor: ...


class Head(Protocol):
    """Embeddings to logits; owns its prototypes in float32. Without labels: no margin, all classes."""

    def __call__(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput: ...


class Loss(Protocol):
    """LossInput -> scalar. `consumes` tells lint whether it needs a head.

    A loss on embeddings that does not look at a miner's pairs says so too: `uses_pairs: ClassVar[bool] = False`. Where
    that depends on its arguments, `uses_pairs` is a static method: the recipe's checked arguments -> bool.
    """

    consumes: ClassVar[Literal["logits", "embeddings"]]

    def __call__(self, given: LossInput) -> Tensor: ...


class Miner(Protocol):
    """Chooses pairs or triplets of a batch (see LossInput.pairs)."""

    def __call__(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, ...]: ...


class Sampler(Protocol):
    """Batches of dataset indices for one rank.

    `batches(epoch)` depends on the seed, the epoch and the rank alone and yields exactly `len(self)` lists, so a
    resumed run goes on at any position by skipping the batches that are done. One that chooses by what is known of a
    photo, or by the photo itself, asks for the `dataset`.
    """

    def __len__(self) -> int: ...

    def batches(self, epoch: int) -> Iterator[list[int]]: ...


class Dataset(Protocol):
    """Photos of one split. `read` gives uint8 (H, W, 3) RGB and raises DataError for a file that is no photo.

    `notices` are one-line remarks for the user (photos skipped, names not understood); empty when all is well.
    """

    items: Sequence[Item]
    label_names: tuple[str, ...]
    notices: Sequence[str]

    def __len__(self) -> int: ...

    def read(self, index: int) -> Image: ...


class Transform(Protocol):
    """One step of augmentation on uint8 photos; all of its randomness comes from `rng`.

    `makes` names the conditions that it can produce (see `random-distortion`); most transforms produce none.
    """

    def __call__(self, view: View, rng: np.random.Generator) -> View: ...


class Distortion(Protocol):
    """Degrades a photo: uint8 (H, W, 3) in and out, same shape, severity 1 (mild) to 5 (hard)."""

    def __call__(self, image: Image, severity: int, rng: np.random.Generator) -> Image: ...


class Optimizer(Protocol):
    """A factory: parameter groups in, torch optimizer out."""

    def __call__(self, *, parameter_groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer: ...


class Schedule(Protocol):
    """Step (0-based) -> factor on every group's learning rate."""

    def __call__(self, step: int) -> float: ...


class Subject(Protocol):
    """A model together with the data that it is evaluated on; results of `embed` and `predict` are cached.

    Thresholds and temperatures are never fitted on what is reported: an evaluator takes the model's own
    `operating_points` (by evaluator; there are some when the model comes from a file and they were fitted on other
    photos than `dataset`), else it fits on `calibration`, else, with neither, it cross-fits on `dataset`.
    """

    dataset: Dataset
    calibration: Dataset | None
    operating_points: Mapping[str, Sequence[OperatingPoint]]

    def embed(self, dataset: Dataset) -> EmbeddingSet: ...

    def predict(self, dataset: Dataset) -> Predictions: ...


class Evaluator(Protocol):
    """Subject -> Result.

    `needs` says what of the subject it uses; `metrics` names the values that `train.select` may point at, higher is
    better; `check` refuses, before any training, a dataset that it could not evaluate (DataError).
    """

    needs: ClassVar[frozenset[Need]]
    metrics: ClassVar[tuple[str, ...]]

    def __call__(self, subject: Subject) -> Result: ...

    def check(self, dataset: Dataset) -> None: ...


class Index(Protocol):
    """Nearest-neighbour search: unit vectors (N, D) in, similarities and ids (Q, K) out, id -1 where fewer than K."""

    def add(self, vectors: FloatArray) -> None: ...

    def search(self, queries: FloatArray, k: int) -> tuple[FloatArray, IntArray]: ...


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
class HasImageSize(Protocol):
    """Optional on backbones: the side length of photos, in pixels, where the recipe does not say `data.image_size`.

    `usual_image_size` is asked before anything is made, with the recipe's checked arguments; None has no preference.
    """

    @staticmethod
    def usual_image_size(arguments: Mapping[str, Any]) -> int | None: ...


@runtime_checkable
class HasStoredArguments(Protocol):
    """Optional on backbones: arguments that a model file keeps in place of the recipe's.

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


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """On a parameter that is a table: the table's keys are those of a callable that the recipe chooses by name.

    For a component that hands a table on to another library: `table: Annotated[dict[str, Any] | None, Choice(...)]`.
    The keys are checked like the component's own, with line and nearest name, and every default is written in.

    Args:
        what: what is chosen, for messages: "loss", "distance".
        signatures: () -> name -> the parameters that a recipe may set, keyword-only and annotated (with a Choice, too).
        key: the component's parameter that holds the name; "" where the key `name` of the table itself does.
        refused: name -> why no recipe may choose it, as a phrase that goes on after the name.
        filled: keys that the component fills in; a recipe may not set them.
    """

    what: str
    signatures: Callable[[], Mapping[str, Signature]]
    key: str = ""
    refused: Mapping[str, str] = field(default_factory=dict)
    filled: frozenset[str] = frozenset()

    def refusal(self, name: str) -> str:
        """Return the message for a name that none of the signatures has."""
        if name in self.refused:
            return f"{self.what} {name!r} cannot be named in a recipe: it {self.refused[name]}"
        names = self.signatures()
        return f"unknown {self.what} {name!r}.{nearest(name, names)} There are: {', '.join(names)}"


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

# `distortions` is offered as objects; a recipe says which by name (`distortions = ["foggy"]`; all when it is silent).
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
            frozenset({"dataset", "labels", "conditions", "batch_size", "seed", "rank", "world_size"}),
            "sampler",
        ),
        Kind("dataset", "datasets", ("__len__", "read"), frozenset({"root", "split"}), "data"),
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
            frozenset({"distortions", "class_names"}),
            "evaluate",
            repeats=True,
        ),
        Kind("index", "indexes", ("add", "search"), frozenset({"dim"})),
    )
}
