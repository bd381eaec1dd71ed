"""Evaluating the model of a model folder on photos: `metricface eval`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from metricface.build import components as make
from metricface.build.experiment import describe_photos
from metricface.build.model_folder import LoadedModel, load_model, named_evaluators, stored_component
from metricface.components.registry import Registries, installed_registries
from metricface.contracts import Console, Dataset, Evaluator, Silent, wants_logits
from metricface.contracts.results import Result
from metricface.data.folders import shortened
from metricface.data.gallery_and_probes import GalleryAndProbes
from metricface.data.photos import Photos
from metricface.deploy.probes import find_probes
from metricface.errors import ModelError
from metricface.evaluation.subject import ModelSubject
from metricface.machine import choose_device, worker_count
from metricface.model.description import Description, Reference
from metricface.model.face_model import laid_out
from metricface.recipe.schema import ComponentSpec

IDENTIFICATION = "identification"

_CACHE = 2 * 2**30
_PLAIN = Reference(name=IDENTIFICATION, arguments={})  # for a model without one


def evaluate_model(
    path: str | PathLike[str],
    data: str | PathLike[str] | None = None,
    registries: Registries | None = None,
    console: Console | None = None,
    *,
    gallery_and_probes: tuple[Path, Path | Sequence[Path]] | None = None,
    device: str = "auto",
    batch_size: int = 64,
) -> tuple[dict[str, Result], dict[str, Any]]:
    """Return the results of a model's own evaluators, and what was evaluated on.

    The model's own thresholds are used, except on the very photos that they were fitted on: there they are
    cross-fitted, as in the run's report.

    Args:
        path: a model folder or a run folder.
        data: a data root (its val split is used), a split folder, or None for the root that it was trained on.
        registries: kind -> registry; None looks at the installed packages.
        console: told of notices and progress; None for a silent one.
        gallery_and_probes: people's folders, and photos to identify, see `probes.find_probes`, instead of `data`.
        device: as `train.device`.
        batch_size: photos at once.

    Raises:
        ModelError: no usable model, or one without evaluators. DataError: the data is missing or unfit.
    """
    registries = installed_registries() if registries is None else registries
    chosen = choose_device(device, "device")
    loaded = load_model(path, registries)
    if gallery_and_probes is not None:
        asked = _gallery_and_probes(loaded.description, *gallery_and_probes, registries)
    else:
        asked = _stored_data(loaded.description, None if data is None else Path(data), registries)
    evaluators = _evaluators(loaded, asked, registries)
    subject = _subject(loaded, asked.dataset, console or Silent(), chosen, batch_size)
    points = {} if asked.fitted_here else loaded.operating_points
    results = {name: evaluator(subject.offering(points.get(name, ()))) for name, evaluator in evaluators.items()}
    return results, {**asked.named, **describe_photos(subject.dataset)}


def _subject(
    loaded: LoadedModel, dataset: Dataset, console: Console, device: torch.device, batch_size: int
) -> ModelSubject:
    """Read the photos, tell of those that cannot be read, and return the model with them."""
    photos = Photos(dataset, loaded.preprocessing, _CACHE, console.progress("reading"))
    for notice in photos.notices:
        console.say(notice)
    return ModelSubject(
        laid_out(loaded.model, device),
        photos,
        loaded.preprocessing,
        head=make.on(device, loaded.head),
        device=device,
        batch_size=batch_size,
        workers=worker_count("auto", device),
        progress=console.progress("evaluating"),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What to evaluate on, and with which evaluators of a model folder.

    `evaluators` are by name; `named` is what a report says of the data; `fitted_here` whether the model's thresholds
    were fitted on it.
    """

    dataset: Dataset
    evaluators: Mapping[str, Reference]
    named: Mapping[str, str]
    fitted_here: bool


def _stored_data(description: Description, data: Path | None, registries: Registries) -> _Asked:
    """Return the dataset that a model folder names, on its own root or another, with the model's own evaluators."""
    own = Path(description.data.root)
    root = own if data is None else data
    split = "val" if (root / "val").is_dir() or data is None else ""
    stored = stored_component(registries, "dataset", description.data)
    dataset = make.component(registries, stored, root=root, split=split)
    fitted_here = description.calibration is None and (root / split).resolve() == (own / "val").resolve()
    evaluators = named_evaluators(description)
    return _Asked(dataset, evaluators, {"root": str(root), "split": split or root.name}, fitted_here)


def _gallery_and_probes(
    description: Description, gallery: Path, probes: Path | Sequence[Path], registries: Registries
) -> _Asked:
    """Return a gallery and probes as one dataset, to be identified as the model's recipe says or plainly."""
    named = [probes] if isinstance(probes, Path) else probes
    folders = partial(make.component, registries, ComponentSpec("dataset", "identity-folder"), split="")
    enrolled = folders(root=gallery)
    parts = find_probes(named, enrolled.label_names, lambda root: folders(root=root))
    on = {
        "root": f"gallery {gallery}, probes {shortened([str(path) for path in named])}",
        "split": f"gallery {gallery.name}, probes {shortened([path.name or str(path) for path in named])}",
    }
    known = named_evaluators(description)
    evaluators = {name: part for name, part in known.items() if part.is_ours(IDENTIFICATION)} or {
        IDENTIFICATION: _PLAIN
    }
    return _Asked(GalleryAndProbes(enrolled, *parts), evaluators, on, fitted_here=False)


def _evaluators(loaded: LoadedModel, asked: _Asked, registries: Registries) -> dict[str, Evaluator]:
    """Return the evaluators by name, or refuse a model that has none, and what lacks something that one needs."""
    if not asked.evaluators:
        raise ModelError(f"{loaded.folder}: its recipe had no [[evaluate]], so there is nothing to compute.")
    found: dict[str, Evaluator] = {}
    for name, reference in asked.evaluators.items():
        stored = stored_component(registries, "evaluator", reference)
        found[name] = make.component(registries, stored, class_names=loaded.description.labels)
        if wants_logits(found[name]) and loaded.head is None:
            raise ModelError(
                f"{loaded.folder}: evaluator {name!r} needs class logits, but the model folder keeps no head."
            )
    for evaluator in found.values():
        evaluator.check(asked.dataset)
    return found
