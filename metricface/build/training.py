"""What training changes and what feeds it, made from a recipe."""

from __future__ import annotations

import numpy as np
import torch

from metricface.build import components as make
from metricface.components.registry import Registries
from metricface.contracts import Sampler
from metricface.data.loader import TrainLoader, condition_names
from metricface.data.photos import Photos
from metricface.errors import RecipeError
from metricface.machine import current_world, worker_count
from metricface.model.face_model import FaceModel
from metricface.model.preprocessing import Preprocessing
from metricface.recipe.naming import element_names
from metricface.recipe.schema import Recipe
from metricface.training.parameters import backbone_groups, parameter_groups
from metricface.training.state import LossTerm, TrainingState


def train_loader(
    recipe: Recipe, registries: Registries, train: Photos, preprocessing: Preprocessing, device: torch.device
) -> tuple[TrainLoader, Sampler]:
    """Return the loader of training batches and its sampler."""
    world = current_world()
    offered = {"image_size": preprocessing.image_size, "mean": preprocessing.mean, "std": preprocessing.std}
    transforms = [make.component(registries, spec, **offered) for spec in recipe.transforms]
    conditions = condition_names(train, transforms)
    sampler = make.component(
        registries,
        recipe.sampler,
        dataset=train,
        labels=np.array([item.label for item in train.items], np.int64),
        conditions=np.array([conditions.index(item.condition) for item in train.items], np.int64),
        condition_names=conditions,
        batch_size=recipe.train.batch_size,
        seed=recipe.run.seed,
        **world.offered(),
    )
    loader = TrainLoader(
        train,
        sampler,
        transforms,
        preprocessing,
        batch_size=recipe.train.batch_size,
        seed=recipe.run.seed,
        workers=worker_count(recipe.train.workers, device),
        pin_memory=device.type == "cuda",
        world=world,
    )
    return loader, sampler


def training_state(
    recipe: Recipe, registries: Registries, model: FaceModel, train: Photos, device: torch.device, total_steps: int
) -> TrainingState:
    """Return the training state: head, losses, miner, optimizer, schedule and EMA around the model."""
    offered = {
        "embedding_dim": model.embedding_dim,
        "num_classes": len(train.label_names),
        "class_counts": np.bincount([item.label for item in train.items], minlength=len(train.label_names)),
        **current_world().offered(),
    }
    head = make.on(device, make.optional(registries, recipe.head, **offered))
    names = element_names(spec.table() for spec in recipe.losses)
    terms = tuple(
        LossTerm(str(name), make.on(device, make.component(registries, spec, **offered)), spec.weight)
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
        optimizer=make.component(registries, recipe.optimizer, parameter_groups=groups),
        schedule=make.optional(registries, recipe.schedule, total_steps=total_steps),
        head=head,
        miner=make.optional(registries, recipe.miner),
        ema=recipe.train.ema,
        device=device,
        gradient_clip=recipe.train.gradient_clip,
    )
