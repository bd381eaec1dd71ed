"""The contract of every kind of component, and of what evaluators are given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from metricface.contracts.data import EmbeddingSet, HeadOutput, InputSpec, Item, LossInput, Predictions, View

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from metricface.contracts.arrays import Image
    from metricface.contracts.results import OperatingPoint, Result

Need = Literal["embeddings", "logits", "images"]


class Backbone(Protocol):
    """(B, 3, H, W) -> features (B, feature_dim). A torch module."""

    feature_dim: int
    input_spec: InputSpec

    def forward(self, images: Tensor) -> Tensor: ...


class Head(Protocol):
    """Embeddings to logits; owns its prototypes in float32. Without labels: no margin, all classes.

    A head may ask for `conditions` and `indices` (see LossInput) by naming them as further parameters of its forward,
    or of its __call__ where it is no torch module: `conditions: Tensor | None = None`. Training gives them by name
    beside the labels; evaluation knows neither, so that their default must be None.
    """

    def __call__(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput: ...


class Loss(Protocol):
    """LossInput -> scalar. `consumes` tells lint whether it needs a head.

    A loss on embeddings that does not look at a miner's pairs says so too: `uses_pairs: ClassVar[bool] = False`. Where
    that depends on its arguments, `uses_pairs` is a static method: the recipe's checked arguments -> bool.
    """

    consumes: ClassVar[Literal["logits", "embeddings"]]

    def __call__(self, given: LossInput) -> Tensor: ...


class Miner(Protocol):
    """Chooses pairs or triplets of a batch (see LossInput.pairs); may ask for `conditions` and `indices` as a Head."""

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

    `read` is called from several threads, or from processes of their own.
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

    Thresholds and temperatures are never fitted on what is reported: an evaluator takes `operating_points`, those that
    it fitted earlier (there are some when the model comes from a file and they were fitted on other photos than
    `dataset`), else it fits on `calibration`, else, with neither, it cross-fits on `dataset`.
    """

    dataset: Dataset
    calibration: Dataset | None
    operating_points: Sequence[OperatingPoint]

    def embed(self, dataset: Dataset) -> EmbeddingSet: ...

    def predict(self, dataset: Dataset) -> Predictions: ...


class Evaluator(Protocol):
    """Subject -> Result. It does not know its own name: a recipe may have several of a kind, and the engine names them.

    `needs` says what of the subject it uses; `metrics` names the values that `train.select` may point at, higher is
    better; `check` refuses, before any training, a dataset that it could not evaluate (DataError).
    """

    needs: ClassVar[frozenset[Need]]
    metrics: ClassVar[tuple[str, ...]]

    def __call__(self, subject: Subject) -> Result: ...

    def check(self, dataset: Dataset) -> None: ...
