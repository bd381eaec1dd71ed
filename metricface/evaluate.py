"""Evaluating a model file on a folder: `metricface eval`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metricface import build
from metricface.errors import ModelError
from metricface.inference import ModelSubject
from metricface.loading import Photos
from metricface.model_file import load_model, stored_component
from metricface.registry import Registries
from metricface.results import Result

_CACHE = 2 * 2**30


def evaluate_model(
    path: Path, data: Path | None, registries: Registries, console: build.Console, *, device: str = "auto"
) -> tuple[dict[str, Result], dict[str, Any]]:
    """Return the results of a model's own evaluators, and what was evaluated on.

    The model's own thresholds are used, except on the very photos that they were fitted on: there they are
    cross-fitted, as in the run's report.

    Args:
        path: a model folder or a run folder.
        data: a data root (its val split is used), a split folder, or None for the root that it was trained on.
        registries: kind -> registry.
        console: told of notices and progress.
        device: as `train.device`.

    Raises:
        ModelError: no usable model, or one without evaluators. DataError: the data is missing or unfit.
    """
    loaded = load_model(path, registries)
    description = loaded.description
    own = Path(description["data"]["root"])
    root = own if data is None else data
    split = "val" if (root / "val").is_dir() or data is None else ""
    dataset = build.component(
        registries, stored_component(registries, "dataset", description["data"]), root=root, split=split
    )
    evaluators: Mapping[str, Any] = {
        reference["name"]: build.component(
            registries, stored_component(registries, "evaluator", reference), class_names=tuple(description["labels"])
        )
        for reference in description["evaluate"]
    }
    if not evaluators:
        raise ModelError(f"{loaded.folder}: its recipe had no [[evaluate]], so there is nothing to compute.")
    for name, evaluator in evaluators.items():
        if build.wants_logits(evaluator) and loaded.head is None:
            raise ModelError(
                f"{loaded.folder}: evaluator {name!r} needs class logits, but the model file keeps no head."
            )
        evaluator.check(dataset)
    photos = Photos(dataset, loaded.image_size, _CACHE, console.progress("reading"), crop=loaded.crop)
    for notice in photos.notices:
        console.say(notice)
    chosen = build.choose_device(device)
    fitted_here = description.get("calibration") is None and (root / split).resolve() == (own / "val").resolve()
    subject = ModelSubject(
        build.laid_out(loaded.model, chosen),
        photos,
        loaded.input_spec,
        head=build.on(chosen, loaded.head),
        operating_points={} if fitted_here else loaded.operating_points,
        device=chosen,
        workers=build.worker_count("auto", chosen),
        progress=console.progress("evaluating"),
    )
    return {name: evaluator(subject) for name, evaluator in evaluators.items()}, {
        "root": str(root),
        "split": split or root.name,
        **build.describe_photos(photos),
    }
