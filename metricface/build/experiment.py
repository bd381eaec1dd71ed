"""From a checked recipe to all that a run needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from metricface.build import components as make
from metricface.build.preflight import (
    check_classes_left,
    check_people_apart,
    check_selected,
    effective_priors,
    people_alike,
    unread_splits,
)
from metricface.build.training import train_loader, training_state
from metricface.components.registry import Registries
from metricface.contracts import Console, Dataset, Evaluator, Progress, Tracker, notices_of, wants_logits
from metricface.data.loader import TrainLoader
from metricface.data.photos import Photos
from metricface.evaluation.subject import ModelSubject
from metricface.machine import choose_device, worker_count
from metricface.model.face_model import FaceModel, laid_out
from metricface.model.folder import fill_embedding
from metricface.model.preprocessing import Preprocessing
from metricface.recipe.schema import Recipe
from metricface.training.precision import Precision, decide_precision
from metricface.training.state import TrainingState


@dataclass
class Experiment:
    """All that a run needs, checked and ready to train.

    Args:
        recipe: what it was built from.
        state: what training changes.
        loader: training batches.
        train, val, calibration: the splits; `calibration` is None when the recipe names none.
        evaluators: by `Recipe.named_evaluators`, in the recipe's order.
        preprocessing: how a photo becomes what the model is given.
        trackers: by `Recipe.named_trackers`.
        notices: what the user should know of components and data.
    """

    recipe: Recipe
    state: TrainingState
    loader: TrainLoader
    train: Photos
    val: Photos
    calibration: Photos | None
    evaluators: Mapping[str, Evaluator]
    preprocessing: Preprocessing
    trackers: Mapping[str, Tracker]
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
            self.preprocessing,
            head=self.state.evaluated_head,
            calibration=calibration,
            device=self.state.device,
            workers=worker_count(self.recipe.train.workers, self.state.device),
            progress=progress,
        )


def describe_photos(photos: Dataset) -> dict[str, int]:
    """Return how many people (classes, where people are unknown) and photos there are."""
    people = {item.identity for item in photos.items if item.identity}
    counted = {"people": len(people)} if people else {"classes": len(photos.label_names)}
    return {**counted, "photos": len(photos)}


def build_experiment(
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
    trackers, found = make.trackers(registries, recipe), _find_splits(recipe, registries)
    evaluators = _evaluators(recipe, registries, found)
    model, told = _model(recipe, registries, device)
    preprocessing = _preprocessing(recipe, model)
    splits = _read_splits(recipe, found, preprocessing, console)
    train = splits["train"]
    if any(map(wants_logits, evaluators.values())):
        check_classes_left(train)
    loader, sampler = train_loader(recipe, registries, train, preprocessing, device)
    state = training_state(recipe, registries, model, train, device, total_steps=len(loader) * recipe.train.epochs)
    state.set_precision(precision or _decide_precision(recipe, model, train, preprocessing, device))
    told = [*_data_notices(recipe, registries, found, train), *told, *_told_by(sampler, *splits.values())]
    return Experiment(
        recipe=recipe,
        state=state,
        loader=loader,
        train=train,
        val=splits["val"],
        calibration=splits.get("calibration"),
        evaluators=evaluators,
        preprocessing=preprocessing,
        trackers=trackers,
        notices=(*dict.fromkeys(told), f"precision: {state.precision.reason}"),
    )


def _model(recipe: Recipe, registries: Registries, device: torch.device) -> tuple[FaceModel, list[str]]:
    """Return the model to train, its first stages frozen where the recipe says so, and what to tell of its weights."""
    embedding, frozen = recipe.embedding, recipe.train.frozen_stages
    model = make.face_model(registries, recipe.backbone, embedding, recipe.data.image_size)
    told = list(notices_of(model.backbone))
    if embedding is not None and embedding.weights is not None:
        told.append(fill_embedding(model.embedding, embedding.weights.expanduser()))
    if recipe.train.recompute:
        model.recompute()
    if frozen:
        model.freeze(frozen)
        sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.backbone.parameters()]
        told.append(
            f"frozen: the first {frozen} stages of the backbone; "
            f"{sum(size for size, trained in sizes if trained):,} of its {sum(size for size, _ in sizes):,} "
            "parameters are trained"
        )
    return laid_out(model, device), told


def _preprocessing(recipe: Recipe, model: FaceModel) -> Preprocessing:
    """Return how photos become what the model is given: the recipe's crop and size, the backbone's mean and std."""
    spec = model.input_spec
    return Preprocessing(image_size=recipe.data.image_size, mean=spec.mean, std=spec.std, crop=recipe.data.crop)


def _split_names(recipe: Recipe) -> dict[str, str]:
    """Return role -> name of every split."""
    named = {} if recipe.data.calibration is None else {"calibration": recipe.data.calibration}
    return {"train": "train", "val": "val", **named}


def _find_splits(recipe: Recipe, registries: Registries) -> dict[str, Dataset]:
    """Find every split and check them against each other."""
    names = _split_names(recipe)
    found = {role: make.dataset(registries, recipe, split) for role, split in names.items()}
    check_people_apart({names[role]: split for role, split in found.items()})
    return found


def _data_notices(recipe: Recipe, registries: Registries, found: Mapping[str, Dataset], train: Dataset) -> list[str]:
    """Return what to tell of the recipe and its photos as a whole."""
    unread = unread_splits(found.values(), _split_names(recipe).values())
    return [*recipe.notices, *people_alike(found), *unread, *effective_priors(recipe, registries, train)]


def _told_by(*parts: object) -> list[str]:
    """Return the notices of parts, in order."""
    return [notice for part in parts for notice in notices_of(part)]


def _evaluators(recipe: Recipe, registries: Registries, found: Mapping[str, Dataset]) -> dict[str, Evaluator]:
    """Return the evaluators by name, after each has checked what it will be asked to evaluate."""
    names = found["train"].label_names
    evaluators = {
        name: make.component(registries, spec, class_names=names) for name, spec in recipe.named_evaluators().items()
    }
    for role in found.keys() - {"train"}:
        for evaluator in evaluators.values():
            evaluator.check(found[role])
    measured = "calibration" if "calibration" in found else "val"
    check_selected(recipe, evaluators, _split_names(recipe)[measured], found[measured])
    return evaluators


def _read_splits(
    recipe: Recipe, found: Mapping[str, Dataset], preprocessing: Preprocessing, console: Console
) -> dict[str, Photos]:
    """Read the photos of every split."""
    names = _split_names(recipe)
    budget = int(recipe.data.cache_gib * 2**30)
    photos: dict[str, Photos] = {}
    for role, split in found.items():
        photos[role] = Photos(split, preprocessing, budget, console.progress(f"reading {names[role]}"))
        budget -= photos[role].nbytes
    return photos


def _decide_precision(
    recipe: Recipe, model: FaceModel, train: Photos, preprocessing: Preprocessing, device: torch.device
) -> Precision:
    """Try the recipe's precision on up to 16 real photos, as the model sees them, once for a model and a machine."""
    count = max(2, min(16, recipe.train.batch_size, len(train)))
    images = preprocessing.tensor([train.read(number % len(train)) for number in range(count)])
    backbone = recipe.backbone
    conditions = {
        "backbone": {"distribution": backbone.distribution, "version": backbone.version, **backbone.table()},
        "embedding": None if recipe.embedding is None else asdict(recipe.embedding),
        "frozen_stages": recipe.train.frozen_stages,
        "image_size": preprocessing.image_size,
    }
    return decide_precision(recipe.train.precision, model, device, images, conditions=conditions)
