"""From the names of a recipe to objects: the only place where a component is looked up and made."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import torch

from metricface.contracts import KINDS, Backbone, Dataset, Evaluator, InputSpec, Sampler
from metricface.errors import MetricFaceError, PluginError, RecipeError
from metricface.evaluation.subject import ModelSubject
from metricface.data.loader import Collate, Photos, Progress, Sample, TrainLoader, condition_names
from metricface.machine import choose_device, worker_count
from metricface.model.face_model import FaceModel
from metricface.model.folder import fill_embedding
from metricface.build.preflight import check_classes_left, check_people_apart, effective_priors
from metricface.recipe.naming import element_names
from metricface.recipe.schema import Component, EmbeddingSection, Recipe
from metricface.components.registry import Registries
from metricface.training.parameters import backbone_groups, parameter_groups
from metricface.training.precision import Precision, decide_precision
from metricface.training.state import LossTerm, TrainingState


class Console(Protocol):
    """Where building and running tell the user what happens; the command line has one, a notebook may too."""

    def say(self, text: str) -> None:
        """Show one line."""

    def progress(self, what: str) -> Progress:
        """Return a callback (done, total) for a piece of work."""


@dataclass
class Experiment:
    """All that a run needs, checked and ready to train.

    Args:
        recipe: what it was built from.
        state: what training changes.
        loader: training batches.
        train, val, calibration: the splits; `calibration` is None when the recipe names none.
        evaluators: by name, in the recipe's order.
        input_spec: mean and std of the backbone.
        notices: what the user should know of components and data.
    """

    recipe: Recipe
    state: TrainingState
    loader: TrainLoader
    train: Photos
    val: Photos
    calibration: Photos | None
    evaluators: Mapping[str, Evaluator]
    input_spec: InputSpec
    notices: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """Return what a dry run shows: people and photos of each split, and how long training is."""
        splits = {"train": self.train, "val": self.val, "calibration": self.calibration}
        return {
            **{name: describe_photos(photos) for name, photos in splits.items() if photos is not None},
            "batches_per_epoch": len(self.loader),
            "steps": len(self.loader) * self.recipe.train.epochs,
            "parameters": sum(parameter.numel() for parameter in self.state.model.parameters()),
            "device": str(self.state.device),
        }

    def subject(
        self, photos: Photos, progress: Progress | None = None, *, calibration: Photos | None = None
    ) -> ModelSubject:
        """Return the model as it stands, to be evaluated on `photos` with what is fitted on `calibration`."""
        return ModelSubject(
            self.state.evaluated_model,
            photos,
            self.input_spec,
            head=self.state.evaluated_head,
            calibration=calibration,
            device=self.state.device,
            workers=worker_count(self.recipe.train.workers, self.state.device),
            progress=progress,
        )


def component(registries: Registries, spec: Component, **offered: Any) -> Any:
    """Make one component: the recipe's checked arguments and whatever of `offered` its signature asks for.

    Raises:
        MetricFaceError: the component's own refusal.
        PluginError: its constructor failed; names the component and its package.
    """
    factory = registries[spec.kind].load(spec.name)
    asked = inspect.signature(factory).parameters
    arguments = {**spec.arguments, **{name: value for name, value in offered.items() if name in asked}}
    if "distortions" in asked and "distortions" in KINDS[spec.kind].offered:
        arguments["distortions"] = distortions(registries, spec.arguments.get("distortions"))
    try:
        return factory(**arguments)
    except MetricFaceError:
        raise
    except Exception as error:
        raise PluginError(
            f"{spec.kind} {spec.name!r} of {spec.distribution} {spec.version} cannot be made: "
            f"{type(error).__name__}: {error}. Look at its parameters: metricface show {spec.kind} {spec.name}"
        ) from error


def optional(registries: Registries, spec: Component | None, **offered: Any) -> Any:
    """Make a component that a recipe may leave out; None stays None."""
    return None if spec is None else component(registries, spec, **offered)


def distortions(registries: Registries, names: Any = None) -> dict[str, Any]:
    """Return distortion objects by name, all registered ones when `names` is None."""
    registry = registries["distortion"]
    return {name: registry.load(name)() for name in (registry.names() if names is None else names)}


def describe_photos(photos: Dataset) -> dict[str, int]:
    """Return how many people (classes, where people are unknown) and photos there are."""
    people = {item.identity for item in photos.items if item.identity}
    counted = {"people": len(people)} if people else {"classes": len(photos.label_names)}
    return {**counted, "photos": len(photos)}


def dataset(registries: Registries, recipe: Recipe, split: str) -> Dataset:
    """Return the recipe's dataset of one split."""
    return cast(Dataset, component(registries, recipe.dataset, root=recipe.data.root, split=split))


def face_model(
    registries: Registries, backbone: Component, embedding: EmbeddingSection | None, image_size: int
) -> FaceModel:
    """Return the model of a recipe or of a model file, for photos of `image_size` pixels a side."""
    network = cast(Backbone, component(registries, backbone, image_size=image_size))
    if embedding is None:
        return FaceModel(network)
    return FaceModel(
        network,
        embedding.dim,
        projection=embedding.projection,
        whitening=embedding.whitening,
        mirror=embedding.mirror,
        zoom=embedding.zoom,
    )


def wants_logits(evaluator: Evaluator) -> bool:
    """Whether an evaluator needs a head besides the model."""
    return "logits" in getattr(evaluator, "needs", ())


def laid_out(model: FaceModel, device: torch.device) -> FaceModel:
    """Move a model to the device in the memory order that training and evaluation share, for equal roundings."""
    moved: FaceModel = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def experiment(
    recipe: Recipe, registries: Registries, console: Console, *, precision: Precision | None = None
) -> Experiment:
    """Build everything that a recipe names, refusing what cannot work before any training.

    Args:
        recipe: a checked recipe.
        registries: kind -> registry.
        console: told of progress.
        precision: the decision of the run that is being resumed; None decides by a check.

    Raises:
        DataError: the data is missing or unfit. RecipeError, PluginError: a component cannot be made.
    """
    torch.manual_seed(recipe.run.seed)
    device = choose_device(recipe.train.device)
    found = _find_splits(recipe, registries)
    evaluators: dict[str, Evaluator] = {
        spec.name: component(registries, spec, class_names=found["train"].label_names) for spec in recipe.evaluators
    }
    splits = _open_splits(recipe, found, evaluators, console)
    train = splits["train"]
    if any(wants_logits(evaluator) for evaluator in evaluators.values()):
        check_classes_left(train)
    model, told = _model(recipe, registries)
    model = laid_out(model, device)
    loader, sampler = _loader(recipe, registries, train, model.input_spec, device)
    state = _state(recipe, registries, model, train, device, total_steps=len(loader) * recipe.train.epochs)
    if precision is None:
        images = _some_images(train, model.input_spec, recipe.train.batch_size)
        state.set_precision(decide_precision(recipe.train.precision, model, device, images))
    else:
        state.set_precision(precision)
    parts = (sampler, *splits.values())
    told += [notice for part in parts for notice in getattr(part, "notices", ())]
    told = [*recipe.notices, *effective_priors(recipe, registries, train), *told]
    return Experiment(
        recipe=recipe,
        state=state,
        loader=loader,
        train=train,
        val=splits["val"],
        calibration=splits.get("calibration"),
        evaluators=evaluators,
        input_spec=model.input_spec,
        notices=(*dict.fromkeys(told), f"precision: {state.precision.reason}"),
    )


def _model(recipe: Recipe, registries: Registries) -> tuple[FaceModel, list[str]]:
    """Return the model to train, its first stages frozen where the recipe says so, and what to tell of its weights."""
    embedding, frozen = recipe.embedding, recipe.train.frozen_stages
    model = face_model(registries, recipe.backbone, embedding, recipe.data.image_size)
    told = list(getattr(model.backbone, "notices", ()))
    if embedding is not None and embedding.weights is not None:
        told.append(fill_embedding(model.embedding, embedding.weights.expanduser()))
    if frozen:
        model.freeze(frozen)
        sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.backbone.parameters()]
        told.append(
            f"frozen: the first {frozen} stages of the backbone; "
            f"{sum(size for size, trained in sizes if trained):,} of its {sum(size for size, _ in sizes):,} "
            "parameters are trained"
        )
    return model, told


def _split_names(recipe: Recipe) -> dict[str, str]:
    """Return role -> name of every split."""
    named = {} if recipe.data.calibration is None else {"calibration": recipe.data.calibration}
    return {"train": "train", "val": "val", **named}


def _find_splits(recipe: Recipe, registries: Registries) -> dict[str, Dataset]:
    """Find every split and check them against each other."""
    names = _split_names(recipe)
    found = {role: dataset(registries, recipe, split) for role, split in names.items()}
    check_people_apart({names[role]: split for role, split in found.items()})
    return found


def _open_splits(
    recipe: Recipe, found: Mapping[str, Dataset], evaluators: Mapping[str, Evaluator], console: Console
) -> dict[str, Photos]:
    """Check the splits against the evaluators, then read the photos."""
    names = _split_names(recipe)
    for role in found.keys() - {"train"}:
        for evaluator in evaluators.values():
            evaluator.check(found[role])
    budget = int(recipe.data.cache_gib * 2**30)
    photos: dict[str, Photos] = {}
    for role, split in found.items():
        told = console.progress(f"reading {names[role]}")
        photos[role] = Photos(split, recipe.data.image_size, budget, told, crop=recipe.data.crop)
        budget -= photos[role].nbytes
    return photos


def _loader(
    recipe: Recipe, registries: Registries, train: Photos, input_spec: InputSpec, device: torch.device
) -> tuple[TrainLoader, Sampler]:
    """Return the loader of training batches and its sampler."""
    labels = np.array([item.label for item in train.items], np.int64)
    conditions = condition_names(train)
    sampler = component(
        registries,
        recipe.sampler,
        dataset=train,
        labels=labels,
        conditions=np.array([conditions.index(item.condition) for item in train.items], np.int64),
        batch_size=recipe.train.batch_size,
        seed=recipe.run.seed,
        rank=0,
        world_size=1,
    )
    transforms = [
        component(registries, spec, image_size=recipe.data.image_size, mean=input_spec.mean, std=input_spec.std)
        for spec in recipe.transforms
    ]
    loader = TrainLoader(
        train,
        sampler,
        transforms,
        input_spec,
        batch_size=recipe.train.batch_size,
        seed=recipe.run.seed,
        workers=worker_count(recipe.train.workers, device),
        pin_memory=device.type == "cuda",
    )
    return loader, sampler


def _state(
    recipe: Recipe, registries: Registries, model: FaceModel, train: Photos, device: torch.device, total_steps: int
) -> TrainingState:
    """Return the training state: head, losses, miner, optimizer, schedule and EMA around the model."""
    offered = {
        "embedding_dim": model.embedding_dim,
        "num_classes": len(train.label_names),
        "class_counts": np.bincount([item.label for item in train.items], minlength=len(train.label_names)),
        "rank": 0,
        "world_size": 1,
    }
    head = on(device, optional(registries, recipe.head, **offered))
    names = element_names(spec.table() for spec in recipe.losses)
    terms = tuple(
        LossTerm(str(name), on(device, component(registries, spec, **offered)), spec.weight)
        for name, spec in zip(names, recipe.losses, strict=True)
    )
    groups = [
        *backbone_groups(model.backbone, scale=recipe.train.backbone_lr, layer_decay=recipe.train.layer_decay),
        *parameter_groups(model.embedding, head, *(term.loss for term in terms)),
    ]
    if not groups:
        raise RecipeError(
            f"train.frozen_stages: nothing is left to train (got {recipe.train.frozen_stages}). "
            "Freeze fewer stages, or add an [embedding] or a [head]."
        )
    return TrainingState(
        model=model,
        losses=terms,
        optimizer=component(registries, recipe.optimizer, parameter_groups=groups),
        schedule=optional(registries, recipe.schedule, total_steps=total_steps),
        head=head,
        miner=optional(registries, recipe.miner),
        ema=recipe.train.ema,
        device=device,
        gradient_clip=recipe.train.gradient_clip,
    )


def _some_images(photos: Photos, input_spec: InputSpec, batch_size: int) -> torch.Tensor:
    """Return up to 16 real photos as the model sees them, for the check of the precision."""
    count = max(2, min(16, batch_size, len(photos)))
    samples = [Sample(photos.read(i % len(photos)), 0, 0, 0) for i in range(count)]
    return Collate(input_spec)(samples).images


def on(device: torch.device, part: Any) -> Any:
    """Move a component that is a torch module to the device."""
    return part.to(device) if isinstance(part, torch.nn.Module) else part
